// SPDX-License-Identifier: MIT
#include "loss_facts.hpp"

#include <charconv>
#include <cmath>
#include <string_view>

#include <prefer/report/table.hpp>
#include <prefer/text/number.hpp>

#include "written_losses.hpp"

setting parse_setting(std::string const& text, std::string const& argument) {
  std::size_t const equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    prefer::refuse(argument + ": expected NAME=NUMBER, found \"" + text + "\"");
  }
  std::string const number = text.substr(equals + 1);
  setting out{argument, text.substr(0, equals), 0.0};
  auto const [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), out.value);
  if (error != std::errc{} || end != number.data() + number.size() || !std::isfinite(out.value)) {
    prefer::refuse(argument + ": \"" + number + "\" is not a finite number");
  }
  return out;
}

written_loss parse_loss(std::string const& text) {
  std::size_t const colon = text.find(':');
  written_loss out{.argument = "--loss " + text, .name = text.substr(0, colon), .own = {}};
  std::size_t begin = colon;
  while (begin != std::string::npos) {
    ++begin;  // past the colon or a comma
    std::size_t const end = text.find(',', begin);
    out.own.push_back(parse_setting(text.substr(begin, end - begin), out.argument));
    begin = end;
  }
  return out;
}

loss_facts facts_of(std::string const& written, std::vector<setting> const& shared) {
  loss_facts out;
  for_each_written({written}, shared, [&](auto const& loss, prefer::loss_info const& info) {
    out = facts_of(loss, info);
  });
  return out;
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
