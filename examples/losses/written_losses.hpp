// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/loss/catalogue.hpp>
#include <prefer/loss/meaning.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/text/number.hpp>

#include "loss_facts.hpp"

/// A loss as a user writes it, `NAME[:parameter=value,...]`.
struct written_loss {
  std::string argument;  // for messages
  std::string name;
  std::vector<setting> own;
};
[[nodiscard]] written_loss parse_loss(std::string const& text);

/// Calls `take(loss, info)` for each, with the parameters that it was given: the shared ones where it has them, and its own.
///
/// Errors  those of make_losses
template <class Take>
void for_each_written(std::vector<std::string> const& written, std::vector<setting> const& shared,
                      Take const& take) {
  std::vector<bool> taken(shared.size());
  for (std::string const& text : written) {
    written_loss const one = parse_loss(text);
    prefer::with_context(one.argument + ": ", [&] {
      prefer::with_loss(one.name, [&](auto loss, prefer::loss_info const& info) {
        for (std::size_t i = 0; i < shared.size(); ++i) {
          if (!prefer::has_parameter(loss, shared[i].name)) continue;
          taken[i] = true;
          prefer::with_context(shared[i].argument + ": ", [&] {
            prefer::set_parameter(loss, shared[i].name, shared[i].value);
          });
        }
        for (setting const& each : one.own) prefer::set_parameter(loss, each.name, each.value);
        take(loss, info);
      });
    });
  }
  for (std::size_t i = 0; i < shared.size(); ++i) {
    if (taken[i]) continue;
    // Nobody has this parameter: let the first loss say so, with what it has instead.
    prefer::with_context(shared[i].argument + ": ", [&] {
      prefer::with_loss(parse_loss(written.front()).name, [&](auto loss, prefer::loss_info const&) {
        prefer::set_parameter(loss, shared[i].name, shared[i].value);
      });
    });
  }
}

/// What is known of a loss.
template <prefer::Loss L>
[[nodiscard]] loss_facts facts_of(L const& loss, prefer::loss_info const& info) {
  loss_facts out;
  std::string parameters;
  prefer::for_each_hyper_parameter(loss, [&](std::string const& name, double value) {
    parameters += (parameters.empty() ? "" : " ") + name + "=" + prefer::text::shortest(value);
    if (name == "beta") out.beta = value;
    if (name == "perturbation") out.perturbation = value;
  });
  out.name = L::name;
  out.label = out.name + (parameters.empty() ? "" : " " + parameters);
  out.kind = L::arity == 1   ? example_kind::unpaired
             : L::arity == 2 ? example_kind::pair
                             : example_kind::list;
  out.needs = prefer::needs<L>;
  out.takes = prefer::reads(loss);
  out.list_size = prefer::list_size_of<L>();
  out.whole_batch = *info.batch_statistic != '\0';
  out.kl_examples = std::string_view(info.batch_statistic) == "KL examples";
  out.meaning = prefer::meaning_of<L>;
  out.own_samples = info.own_samples;
  out.remembers = !std::same_as<prefer::loss_memory<L>, prefer::nothing>;
  out.rewards = prefer::reward_rule_of(loss);
  return out;
}
