// SPDX-License-Identifier: MIT
#include "named_loss.hpp"

#include <charconv>
#include <cmath>
#include <string_view>

#include <prefer/report/table.hpp>
#include <prefer/text/number.hpp>

namespace {

using prefer::refuse;
using prefer::with_context;

std::vector<std::string> split(std::string const& text, char separator) {
  std::vector<std::string> pieces;
  std::size_t begin = 0;
  for (;;) {
    std::size_t const end = text.find(separator, begin);
    pieces.push_back(text.substr(begin, end - begin));
    if (end == std::string::npos) return pieces;
    begin = end + 1;
  }
}

template <prefer::Loss L>
std::string parameters_of(L const& loss) {
  std::string out;
  prefer::for_each_hyper_parameter(loss, [&](std::string const& name, double value) {
    out += (out.empty() ? "" : " ") + name + "=" + prefer::text::shortest(value);
  });
  return out;
}

template <prefer::Loss L>
named_loss erased(L const& loss, prefer::loss_info const& info, remembering from) {
  named_loss out;
  std::string const parameters = parameters_of(loss);
  out.name = L::name;
  out.label = out.name + (parameters.empty() ? "" : " " + parameters);
  out.needs = prefer::needs<L>;
  out.takes = prefer::reads(loss);
  out.list_size = prefer::list_size_of<L>();
  out.whole_batch = *info.batch_statistic != '\0';
  out.kl_examples = std::string_view(info.batch_statistic) == "KL examples";
  out.meaning = prefer::meaning_of<L>;
  out.own_samples = info.own_samples;
  out.remembers = !std::same_as<prefer::loss_memory<L>, prefer::nothing>;
  prefer::for_each_hyper_parameter(loss, [&](std::string_view name, double value) {
    if (name == "beta") out.beta = value;
    if (name == "perturbation") out.perturbation = value;
  });
  out.rewards = prefer::reward_rule_of(loss);
  auto const evaluate = [loss, from, memory = prefer::loss_memory<L>{}](
                            auto const& columns, prefer::evaluate_options options) mutable {
    if (from == remembering::nothing) memory = {};
    return prefer::evaluate(loss, columns, memory, options);
  };
  if constexpr (prefer::PairLoss<L>) {
    out.kind = example_kind::pair;
    out.pairs = evaluate;
  } else if constexpr (prefer::UnpairedLoss<L>) {
    out.kind = example_kind::unpaired;
    out.unpaired = evaluate;
  } else {
    out.kind = example_kind::list;
    out.lists = evaluate;
  }
  return out;
}

/// `taken[i]` becomes true where shared setting i belongs to this loss.
named_loss make_loss(std::string const& written, std::vector<setting> const& shared,
                     std::vector<bool>& taken, remembering memory) {
  std::string const argument = "--loss " + written;
  std::size_t const colon = written.find(':');
  std::vector<setting> own;
  if (colon != std::string::npos) {
    for (auto const& piece : split(written.substr(colon + 1), ',')) {
      own.push_back(parse_setting(piece, argument));
    }
  }
  named_loss out;
  with_context(argument + ": ", [&] {
    prefer::with_loss(written.substr(0, colon), [&](auto loss, prefer::loss_info const& info) {
      for (std::size_t i = 0; i < shared.size(); ++i) {
        if (!prefer::has_parameter(loss, shared[i].name)) continue;
        taken[i] = true;
        with_context(shared[i].argument + ": ",
                     [&] { prefer::set_parameter(loss, shared[i].name, shared[i].value); });
      }
      for (auto const& one : own) prefer::set_parameter(loss, one.name, one.value);
      out = erased(loss, info, memory);
    });
  });
  return out;
}

}  // namespace

setting parse_setting(std::string const& text, std::string const& argument) {
  std::size_t const equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    refuse(argument + ": expected NAME=NUMBER, found \"" + text + "\"");
  }
  std::string const number = text.substr(equals + 1);
  setting out{argument, text.substr(0, equals), 0.0};
  auto const [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), out.value);
  if (error != std::errc{} || end != number.data() + number.size() || !std::isfinite(out.value)) {
    refuse(argument + ": \"" + number + "\" is not a finite number");
  }
  return out;
}

std::vector<named_loss> make_losses(std::vector<std::string> const& written,
                                    std::vector<setting> const& shared, remembering memory) {
  std::vector<bool> taken(shared.size());
  std::vector<named_loss> losses;
  for (auto const& one : written) losses.push_back(make_loss(one, shared, taken, memory));
  for (std::size_t i = 0; i < shared.size(); ++i) {
    if (taken[i]) continue;
    // Nobody has this parameter: let the first loss say so, with what it has instead.
    std::string const first = written.front().substr(0, written.front().find(':'));
    with_context(shared[i].argument + ": ", [&] {
      prefer::with_loss(first, [&](auto loss, prefer::loss_info const&) {
        prefer::set_parameter(loss, shared[i].name, shared[i].value);
      });
    });
  }
  return losses;
}

std::vector<loss_description> describe_losses() {
  std::vector<loss_description> out;
  prefer::for_each_loss([&]<prefer::Loss L>(L const& loss, prefer::loss_info const& info) {
    std::string read = to_string(prefer::needs<L>);
    if (prefer::meaning_of<L>.score != prefer::score_kind::none) {
      read += std::string(" (") + to_string(prefer::meaning_of<L>.score) + ")";
    }
    if (*info.batch_statistic != '\0') read += std::string(", ") + info.batch_statistic;
    loss_description one{.name = L::name,
                         .over = L::arity == 1   ? "labels"
                                 : L::arity == 2 ? "pairs"
                                                 : "lists",
                         .hyper_parameters = {},
                         .reads = std::move(read),
                         .paper = info.paper,
                         .summary = info.summary,
                         .trl = info.trl};
    prefer::for_each_hyper_parameter(loss, [&](std::string_view name, double value) {
      one.hyper_parameters.emplace_back(name, value);
    });
    out.push_back(std::move(one));
  });
  return out;
}

std::vector<std::string> names_of_losses() {
  std::vector<std::string> out;
  for (auto& each : describe_losses()) out.push_back(std::move(each.name));
  return out;
}

std::string list_of_losses() {
  prefer::report::table losses({{"loss"}, {"over"}, {"hyper-parameters"}, {"reads"}, {"paper"}});
  prefer::report::table meanings({{"loss"}, {"loss of one example"}, {"TRL"}});
  for (auto const& each : describe_losses()) {
    std::string parameters;
    for (auto const& [name, value] : each.hyper_parameters) {
      parameters += (parameters.empty() ? "" : " ") + name + "=" + prefer::text::shortest(value);
    }
    losses.add_row(
        {each.name, each.over, parameters.empty() ? "-" : parameters, each.reads, each.paper});
    meanings.add_row({each.name, each.summary, each.trl.empty() ? "-" : each.trl});
  }
  return losses.text() + "\n" + meanings.text();
}
