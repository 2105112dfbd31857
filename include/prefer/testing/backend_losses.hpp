// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/batch/backend.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/loss/catalogue.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/objective/on_backend.hpp>
#include <prefer/testing/finding.hpp>
#include <prefer/testing/probing_formulas.hpp>
#include <prefer/testing/sample_numbers.hpp>

// The second half of the conformance suite: what follows where operations and functions are right. Every loss of the catalogue
// with its statistics and coefficients, and the metrics of its batch, are on a backend what they are on the host.

namespace prefer::inline v0_1::testing {

namespace detail {

template <Backend B, class Upload>
class backend_losses : private findings {
 public:
  using column = typename B::column;

  backend_losses(B const& on, Upload const& upload, suite_options options)
      : findings(options), on_(on), upload_(upload) {}

  [[nodiscard]] std::vector<finding> run() {
    for_each_loss(
        [&]<Loss L>(L const& loss, auto const&) { attempt(L::name, [&] { same(loss); }); });
    return take();
  }

 private:
  static constexpr std::size_t examples = 30;

  /// The same numbers here and there: those that a loss reads, weights, and completions of other prompts.
  template <template <class> class Kind>
  struct twice {
    Kind<prefer::column> here{};
    Kind<column> there{};
    std::vector<numbers> kept{};
    std::vector<std::invoke_result_t<Upload const&, numbers const&>> owners{};
    std::vector<std::size_t> offset{};

    twice(Upload const& upload, column_set read, std::size_t list_size = 0) {
      std::size_t completions = examples;
      if constexpr (requires { here.offset; }) {
        offset.push_back(0);
        for (std::size_t g = 0; g < examples; ++g) {
          offset.push_back(offset.back() + (list_size == 0 ? 1 + g % 4 : list_size));
        }
        here.offset = there.offset = offset;
        completions = offset.back();
      }
      prefer::detail::for_each_column(here, [&](auto is, per each, column_side, auto const&) {
        bool const wanted = read.contains(is.name) || is.name == column_name::weight ||
                            is.name == column_name::policy || each == per::kl_example;
        kept.push_back(wanted
                           ? numbers_of(is.rule, each == per::completion ? completions : examples,
                                        static_cast<std::uint32_t>(kept.size()))
                           : numbers());
      });
      std::size_t at = 0;
      prefer::detail::for_each_column(here, [&](auto, per, column_side, prefer::column& to) {
        numbers const& own = kept[at++];
        if (!own.empty()) to = own;
      });
      owners.reserve(kept.size());
      at = 0;
      prefer::detail::for_each_column(there, [&](auto, per, column_side, column& to) {
        numbers const& own = kept[at++];
        if (own.empty()) return;
        owners.push_back(upload(own));
        to = view_of_uploaded<column>(owners.back());
      });
    }
  };

  [[nodiscard]] numbers down(column const& from) const {
    return on_.numbers(basic_unpaired_columns<column>{.policy = from}, its_log_prob{});
  }
  void expect_mean(double here, typename B::number const& there) {
    expect_numbers({on_.read(std::array<typename B::number, 1>{there})[0]}, {here},
                   "the mean loss");
  }
  // A coefficient is the difference of terms of about 1 / examples.
  static constexpr double coefficients = 1e-2;

  template <PairLoss L>
  void same(L const& loss) {
    twice<basic_pair_columns> batch(upload_, reads(loss));
    loss_memory<L> memory_here{}, memory_there{};
    auto const here = evaluate(loss, batch.here, memory_here);
    auto value = on_.room(examples), chosen = on_.room(examples), rejected = on_.room(examples);
    auto of_chosen = on_.room(examples), of_rejected = on_.room(examples);
    basic_pair_results<typename B::result> there{
        .value = value.result(), .chosen = chosen.result(), .rejected = rejected.result()};
    if constexpr (prefer::detail::differentiates_divergence<L>) {
      there.chosen_divergence = of_chosen.result();
      there.rejected_divergence = of_rejected.result();
    }
    auto const state = prepare(loss, batch.there, memory_there);
    expect_mean(here.loss, evaluate_into(loss, batch.there, there, state));
    expect_numbers(down(value.view()), here.value, "values");
    expect_numbers(down(chosen.view()), here.coefficient.chosen, "coefficients of chosen",
                   coefficients);
    expect_numbers(down(rejected.view()), here.coefficient.rejected, "coefficients of rejected",
                   coefficients);
    if constexpr (prefer::detail::differentiates_divergence<L>) {
      expect_numbers(down(of_chosen.view()), here.divergence_coefficient.chosen,
                     "coefficients of divergence, chosen", coefficients);
      expect_numbers(down(of_rejected.view()), here.divergence_coefficient.rejected,
                     "coefficients of divergence, rejected", coefficients);
    }
    auto const rule = reward_rule_of(loss);
    auto const ours = metrics(batch.here, rule), theirs = metrics(batch.there, rule);
    for (auto const& each : pair_metric_names) {
      expect_numbers({(theirs.*each.field).mean()}, {(ours.*each.field).mean()},
                     std::string("the metric ") + each.name);
    }
  }

  template <UnpairedLoss L>
  void same(L const& loss) {
    twice<basic_unpaired_columns> batch(upload_, reads(loss) | column_name::label);
    loss_memory<L> memory_here{}, memory_there{};
    auto const here = evaluate(loss, batch.here, memory_here);
    auto value = on_.room(examples), coefficient = on_.room(examples),
         estimate = on_.room(examples);
    basic_unpaired_results<typename B::result> there{.value = value.result(),
                                                     .coefficient = coefficient.result()};
    if constexpr (prefer::detail::differentiates_value<L>) there.value_estimate = estimate.result();
    auto const state = prepare(loss, batch.there, memory_there);
    expect_mean(here.loss, evaluate_into(loss, batch.there, there, state));
    expect_numbers(down(value.view()), here.value, "values");
    expect_numbers(down(coefficient.view()), here.coefficient, "coefficients", coefficients);
    if constexpr (prefer::detail::differentiates_value<L>) {
      expect_numbers(down(estimate.view()), here.value_coefficient,
                     "coefficients of the value estimate", coefficients);
    }
    auto const rule = reward_rule_of(loss);
    auto const ours = metrics(batch.here, rule), theirs = metrics(batch.there, rule);
    for (auto const& each : unpaired_metric_names) {
      expect_numbers({(theirs.*each.field).sum, (theirs.*each.field).count},
                     {(ours.*each.field).sum, (ours.*each.field).count},
                     std::string("the metric ") + each.name);
    }
  }

  template <ListLoss L>
  void same(L const& loss) {
    twice<basic_list_columns> batch(upload_, reads(loss), list_size_of<L>());
    auto const here = evaluate(loss, batch.here);
    auto value = on_.room(examples), coefficient = on_.room(batch.offset.back());
    basic_list_results<typename B::result> const there{.value = value.result(),
                                                       .coefficient = coefficient.result()};
    expect_mean(here.loss, evaluate_into(loss, batch.there, there));
    expect_numbers(down(value.view()), here.value, "values");
    expect_numbers(down(coefficient.view()), here.coefficient, "coefficients", coefficients);
  }

  B const& on_;
  Upload const& upload_;
};

}  // namespace detail

/// Which losses of the catalogue are not on a backend what they are on the host, by name; none where all are.
///
/// `upload` and `options` as for check_backend, which is run first: this instantiates every loss, and says less of the cause
template <Backend B, class Upload>
  requires(!std::same_as<typename B::column, column>)
[[nodiscard]] std::vector<finding> check_losses(B const& on, Upload const& upload,
                                                suite_options options = {}) {
  return detail::backend_losses<B, Upload>(on, upload, options).run();
}

}  // namespace prefer::inline v0_1::testing
