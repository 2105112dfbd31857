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
#include <prefer/testing/sample_columns.hpp>

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

  template <Loss L>
  void check(L const& loss) {
    attempt(name_of<L>(), [&] { same(loss); });
  }
  using findings::take;

 private:
  template <template <class> class Kind>
  using twice = sample_columns<Kind, column, Upload>;
  static constexpr std::size_t examples = twice<basic_pair_columns>::examples;

  [[nodiscard]] numbers down(column const& from) const {
    return on_.numbers(basic_unpaired_columns<column>{.policy = from}, its_log_prob{});
  }
  void expect_mean(double here, typename B::number const& there) {
    expect_numbers({on_.read(std::array<typename B::number, 1>{there})[0]}, {here},
                   "the mean loss");
  }
  template <class Metrics, std::size_t N>
  void expect_metrics(Metrics const& got, Metrics const& wanted,
                      metric_name<Metrics> const (&names)[N]) {
    for (auto const& each : names) {
      expect_numbers({(got.*each.field).sum, (got.*each.field).count},
                     {(wanted.*each.field).sum, (wanted.*each.field).count},
                     std::string("the metric ") + each.name);
    }
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
    expect_metrics(metrics(batch.there, rule), metrics(batch.here, rule), pair_metric_names);
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
    expect_metrics(metrics(batch.there, rule), metrics(batch.here, rule), unpaired_metric_names);
  }

  template <ListLoss L>
  void same(L const& loss) {
    twice<basic_list_columns> batch(upload_, reads(loss), list_size_of<L>());
    auto const here = evaluate(loss, batch.here);
    auto value = on_.room(examples), coefficient = on_.room(batch.completions());
    basic_list_results<typename B::result> const there{.value = value.result(),
                                                       .coefficient = coefficient.result()};
    expect_mean(here.loss, evaluate_into(loss, batch.there, there));
    expect_numbers(down(value.view()), here.value, "values");
    expect_numbers(down(coefficient.view()), here.coefficient, "coefficients", coefficients);
    auto const rule = reward_rule_of(loss);
    expect_metrics(metrics(batch.there, rule), metrics(batch.here, rule), pair_metric_names);
  }

  B const& on_;
  Upload const& upload_;
};

/// Has a name, because a device's compiler takes no lambda around what runs on a device.
template <Backend B, class Upload>
struct check_each_loss {
  backend_losses<B, Upload>* checks;

  template <Loss L>
  void operator()(L const& loss, loss_info const&) const {
    checks->check(loss);
  }
};

}  // namespace detail

/// Where a loss is on a backend not what it is on the host; nothing where it is.
///
/// `upload` and `options` as for check_backend, which is run first: this says less of the cause
template <Backend B, class Upload, Loss L>
  requires(!std::same_as<typename B::column, column>)
[[nodiscard]] std::vector<finding> check_loss(B const& on, Upload const& upload, L const& loss,
                                              suite_options options = {}) {
  detail::backend_losses<B, Upload> checks(on, upload, options);
  checks.check(loss);
  return checks.take();
}
/// The same of every loss of the catalogue, which are all instantiated.
template <Backend B, class Upload>
  requires(!std::same_as<typename B::column, column>)
[[nodiscard]] std::vector<finding> check_losses(B const& on, Upload const& upload,
                                                suite_options options = {}) {
  detail::backend_losses<B, Upload> checks(on, upload, options);
  for_each_loss(detail::check_each_loss<B, Upload>{&checks});
  return checks.take();
}

}  // namespace prefer::inline v0_1::testing
