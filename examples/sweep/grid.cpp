// SPDX-License-Identifier: MIT
#include "grid.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include <prefer/expects.hpp>
#include <prefer/text/number.hpp>
#include <prefer/text/spelling.hpp>

#include "../program/arguments.hpp"
#include "objective.hpp"

namespace sweep {

namespace {

using prefer::refuse;
using program::in_quotes;
using program::read_number;

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> pieces;
  for (;;) {
    std::size_t const end = text.find(separator);
    pieces.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return pieces;
    text.remove_prefix(end + 1);
  }
}

double beta_of(std::string const& argument, std::string const& text, least_beta least) {
  auto const value = read_number<double>(text);
  bool const zero = least == least_beta::zero;
  if (!value || !(*value > 0.0 || (zero && *value == 0.0)) || !std::isfinite(*value)) {
    refuse(argument + ": " + in_quotes(text) + " is not a finite number " +
           (zero ? "of at least zero" : "greater than zero"));
  }
  return *value == 0.0 ? 0.0 : *value;  // -0 is 0
}

double three_digits(double value) {
  char buffer[32];
  auto const end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific, 2).ptr;
  return *read_number<double>(std::string_view(buffer, static_cast<std::size_t>(end - buffer)));
}

void add_range(std::string const& argument, std::string const& text, least_beta least,
               std::vector<double>& out) {
  auto const parts = split(text, ':');
  bool const three = parts.size() == 3;
  std::string const form = three ? parts[2].substr(0, 3) : "";
  auto const count = three && parts[2].size() > 3 ? read_number<unsigned>(parts[2].substr(3))
                                                  : std::optional<unsigned>();
  if (!count || (form != "log" && form != "lin")) {
    refuse(argument + ": " + in_quotes(text) +
           " is not a range; expected LOW:HIGH:logN or LOW:HIGH:linN, such as 0.01:5:log8");
  }
  if (form == "log") least = least_beta::above_zero;
  double const low = beta_of(argument, parts[0], least);
  double const high = beta_of(argument, parts[1], least);
  if (!(low < high)) refuse(argument + ": " + in_quotes(text) + " must rise from LOW to HIGH");
  if (*count < 2 || *count > 1000) {
    refuse(argument + ": " + in_quotes(text) + " has " + std::to_string(*count) +
           " numbers; expected 2 to 1000");
  }
  for (unsigned i = 0; i < *count; ++i) {
    double const share = static_cast<double>(i) / static_cast<double>(*count - 1);
    bool const end = i == 0 || i + 1 == *count;
    double const value =
        form == "log" ? low * std::pow(high / low, share) : low + share * (high - low);
    out.push_back(end ? (i == 0 ? low : high) : std::clamp(three_digits(value), low, high));
  }
}

template <class T>
std::vector<T> sorted_without_repeats(std::string const& argument, std::vector<T> const& values) {
  auto out = program::without_repeats(argument, values);
  std::sort(out.begin(), out.end());
  return out;
}

std::string nearest(std::string const& written, std::vector<std::string> const& known) {
  std::string all;
  std::string meant;
  for (auto const& name : known) {
    all += (all.empty() ? "" : ", ") + name;
    if (prefer::text::misspells(written, name)) meant = name;
  }
  return (meant.empty() ? "" : "; did you mean " + in_quotes(meant) + "?") +
         (meant.empty() ? "; known: " : " Known: ") + all;
}

}  // namespace

std::vector<setting> grid::settings() const {
  std::vector<setting> out;
  for (std::size_t l = 0; l < losses.size(); ++l) {
    auto const names =
        losses[l].reads_reference ? references : std::vector<std::string>{std::string("none")};
    for (auto const& reference : names) {
      for (double const flip : flips) {
        label_noise const noise{.flip = flip, .bias = bias};
        if (!losses[l].has_beta) {
          out.push_back({.loss = l, .beta = {}, .reference = reference, .noise = noise});
          continue;
        }
        for (double const beta : betas) {
          out.push_back({.loss = l, .beta = beta, .reference = reference, .noise = noise});
        }
      }
    }
  }
  return out;
}

std::vector<double> read_betas(std::string const& argument, std::string const& text,
                               least_beta least) {
  std::vector<double> out;
  for (auto const& piece : split(text, ',')) {
    if (piece.find(':') != std::string::npos) {
      add_range(argument, piece, least, out);
    } else {
      out.push_back(beta_of(argument, piece, least));
    }
  }
  return sorted_without_repeats(argument, out);
}

std::vector<double> read_flips(std::string const& argument, std::string const& text) {
  std::vector<double> out;
  for (auto const& piece : split(text, ',')) {
    auto const value = read_number<double>(piece);
    if (!value || !(*value >= 0.0 && *value <= 0.5)) {
      refuse(argument + ": " + in_quotes(piece) + " is not a probability from 0 to 0.5");
    }
    out.push_back(*value == 0.0 ? 0.0 : *value);  // -0 is 0
  }
  return sorted_without_repeats(argument, out);
}

std::vector<std::uint64_t> read_whole(std::string const& argument, std::string const& text,
                                      std::string const& of_what) {
  std::vector<std::uint64_t> out;
  for (auto const& piece : split(text, ',')) {
    auto const value = read_number<std::uint64_t>(piece);
    if (!value || *value < 1 || *value > 100'000'000) {
      refuse(argument + ": " + in_quotes(piece) + " is not a number of " + of_what +
             " from 1 to 100000000");
    }
    out.push_back(*value);
  }
  return sorted_without_repeats(argument, out);
}

std::vector<std::string> read_names(std::string const& argument, std::string const& text,
                                    std::vector<std::string> const& known,
                                    std::string const& unknown) {
  std::vector<std::string> out;
  for (auto const& piece : split(text, ',')) {
    if (std::find(known.begin(), known.end(), piece) == known.end()) {
      refuse(argument + ": " + unknown + " " + in_quotes(piece) + nearest(piece, known));
    }
    out.push_back(piece);
  }
  return program::without_repeats(argument, out);
}

std::vector<loss_choice> read_losses(std::string const& argument, std::string const& text,
                                     prefer::column_set token_columns) {
  std::vector<std::string> written;
  for (auto const& piece : split(text, ',')) {
    bool const more = piece.find('=') != std::string::npos && piece.find(':') == std::string::npos;
    bool const open = !written.empty() && written.back().find(':') != std::string::npos;
    if (more && open) {
      written.back() += "," + piece;
    } else if (piece.empty()) {
      refuse(argument + ": " + in_quotes(text) + " has an empty place; expected names of losses");
    } else {
      written.push_back(piece);
    }
  }
  std::vector<loss_choice> out;
  for (auto const& one : written) {
    loss_choice choice = describe_loss(one, token_columns);
    bool const known = std::any_of(out.begin(), out.end(),
                                   [&](loss_choice const& o) { return o.text == choice.text; });
    if (known) {
      program::warn(argument + " has " + choice.text + " more than once; it is taken once");
    } else {
      out.push_back(std::move(choice));
    }
  }
  return out;
}

}  // namespace sweep
