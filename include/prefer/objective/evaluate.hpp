// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/backend.hpp>
#include <prefer/batch/check_columns.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/with_columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/objective/kernel.hpp>
#include <prefer/objective/loss_pass.hpp>
#include <prefer/objective/matched.hpp>
#include <prefer/scalar/lane.hpp>

namespace prefer::inline v0_1 {

namespace detail {

/// What is wrong with the batch for this loss, as a sentence; nothing for a good one.
template <Loss L, class Columns>
void check_columns(L const& loss, Columns const& columns, char const* function) {
  expects_hyper_parameters_in_range(loss);
  column_set const read = reads(loss);
  column_set const available = columns.available();
  if (!available.contains(read - optional_columns)) {
    broken(std::string(function) + ": this loss reads " +
           to_string_of<Columns>(read - optional_columns) + "; the batch lacks " +
           to_string_of<Columns>((read - optional_columns) - available));
  }
  column_set const ignored = column_set(available.bits & optional_columns.bits) - read;
  if (!ignored.empty()) {
    broken(std::string(function) + ": the batch has a column that this loss would ignore: " +
           to_string_of<Columns>(ignored));
  }
}

template <class Columns>
inline constexpr bool is_promise = requires { Columns::promised; };

template <class Columns>
concept known_columns = is_promise<Columns> || std::same_as<Columns, unpaired_columns> ||
                        std::same_as<Columns, pair_columns> || std::same_as<Columns, list_columns>;

/// One sentence where loss and columns are of different kinds; true where they may go together.
template <Loss L, class Columns>
consteval bool same_kind() {
  if constexpr (known_columns<Columns> && !is_promise<Columns>) {
    constexpr bool fits = std::same_as<Columns, unpaired_columns> ? L::arity == 1
                          : std::same_as<Columns, pair_columns>   ? L::arity == 2
                                                                  : L::arity == dynamic_arity;
    static_assert(fits || L::arity != 1,
                  "prefer: a loss over labelled completions is evaluated on unpaired_columns");
    static_assert(fits || L::arity != 2, "prefer: a loss over pairs is evaluated on pair_columns");
    static_assert(fits || L::arity != dynamic_arity,
                  "prefer: a loss over lists is evaluated on list_columns");
    return fits;
  } else {
    return true;
  }
}

template <Loss L, class Columns>
constexpr void promise_kept() {
  if constexpr (requires { Columns::promised; }) {
    static_assert(
        Columns::promised.contains(needs<L>),
        "prefer: this loss reads a column that the batch does not promise (with_columns)");
  }
}

template <PairLoss L, class C, class R>
void check_batch(L const& loss, basic_pair_columns<C> const& batch,
                 basic_pair_results<R> const& results) {
  std::size_t const n = batch.size();
  check_sides(batch, "evaluate");
  check_columns(loss, batch, "evaluate");
  expects(n > 0, "evaluate: the batch is empty");
  if constexpr (!probed_at_compile_time<L>) {
    expects(!reads(loss).contains(column_name::divergence),
            "evaluate: a loss that reads divergence must be default-constructible, so that its "
            "derivatives are known to be wanted");
  }
  check_sizes(batch, "evaluate");
  check_size(results.value, n, "evaluate", "results.value");
  check_size(results.chosen, n, "evaluate", "results.chosen");
  check_size(results.rejected, n, "evaluate", "results.rejected");
  check_size(results.chosen_divergence, n, "evaluate", "results.chosen_divergence");
  check_size(results.rejected_divergence, n, "evaluate", "results.rejected_divergence");
  expects(differentiates_divergence<L> ||
              !(results.chosen_divergence.present() || results.rejected_divergence.present()),
          "evaluate: results.divergence is asked for, and this loss does not read divergence");
}

template <UnpairedLoss L, class C, class R>
void check_batch(L const& loss, basic_unpaired_columns<C> const& batch,
                 basic_unpaired_results<R> const& results) {
  std::size_t const n = batch.size();
  check_columns(loss, batch, "evaluate");
  expects(n > 0, "evaluate: the batch is empty");
  if constexpr (!probed_at_compile_time<L>) {
    expects(!reads(loss).contains(column_name::value_estimate),
            "evaluate: a loss that reads value_estimate must be default-constructible, so that its "
            "derivatives are known to be wanted");
  }
  check_sizes(batch, "evaluate");
  check_size(results.value, n, "evaluate", "results.value");
  check_size(results.coefficient, n, "evaluate", "results.coefficient");
  check_size(results.value_estimate, n, "evaluate", "results.value_estimate");
  expects(differentiates_value<L> || !results.value_estimate.present(),
          "evaluate: results.value_estimate is asked for, and this loss does not read it");
}

template <ListLoss L, class C, class R>
void check_batch(L const& loss, basic_list_columns<C> const& batch,
                 basic_list_results<R> const& results) {
  check_columns(loss, batch, "evaluate");
  expects(batch.size() > 0, "evaluate: the batch is empty");
  check_lists(batch, list_size_of<L>(), "evaluate");
  check_sizes(batch, "evaluate");
  check_size(results.value, batch.size(), "evaluate", "results.value");
  check_size(results.coefficient, batch.policy.size(), "evaluate", "results.coefficient");
}

/// One batch, whether each row goes with itself or the loss puts rows together in its own way.
template <class Lane, PairLoss L>
[[nodiscard]] double evaluate_any_pairs(L const& loss, loss_state<L> const& state,
                                        pair_columns const& batch, pair_results const& results,
                                        evaluate_options const& options) {
  if constexpr (matches<L>) {
    return evaluate_matched<Lane>(loss, state, batch, results, options);
  } else {
    return evaluate_pairs<Lane>(loss, state, batch, results, options);
  }
}

}  // namespace detail

/// Value and coefficients of a pair loss over a batch, written where `results` says; returns the mean loss.
///
///   mean loss = 1/B * sum over pairs of weight_i * loss_i
///   coefficient_i = d (mean loss) / d log_prob_i, or of loss_i alone with reduction::none
///
/// An example of weight 0 has value and coefficients 0, whatever its loss.
/// Computed in float where all policy and reference columns are float, else in double. Nothing is allocated, but by
/// losses that sort their batch (aot).
/// Errors  precondition_error for sizes that disagree, a column that is read but absent, or present but ignored
template <PairLoss L>
double evaluate_into(L const& loss, pair_columns const& batch, pair_results const& results,
                     loss_state<L> const& state, evaluate_options const& options = {}) {
  detail::check_batch(loss, batch, results);
  double const total =
      detail::all_float(batch)
          ? detail::evaluate_any_pairs<lane<float>>(loss, state, batch, results, options)
          : detail::evaluate_any_pairs<lane<double>>(loss, state, batch, results, options);
  return total / static_cast<double>(batch.size());
}

/// The same for a loss over labelled completions.
template <UnpairedLoss L>
double evaluate_into(L const& loss, unpaired_columns const& batch, unpaired_results const& results,
                     loss_state<L> const& state, evaluate_options const& options = {}) {
  detail::check_batch(loss, batch, results);
  double const total =
      detail::all_float(batch)
          ? detail::evaluate_unpaired<lane<float>>(loss, state, batch, results, options)
          : detail::evaluate_unpaired<lane<double>>(loss, state, batch, results, options);
  return total / static_cast<double>(batch.size());
}

/// The same for a loss over lists; the mean is over lists. Computed in double.
template <ListLoss L>
double evaluate_into(L const& loss, list_columns const& batch, list_results const& results,
                     loss_state<L> const& state, evaluate_options const& options = {}) {
  detail::check_batch(loss, batch, results);
  auto const lists = static_cast<double>(batch.size());
  detail::list_pass<L> const pass{loss, state,
                                  options.reduce == reduction::mean ? 1.0 / lists : 1.0};
  return host{options.threads}.for_each_list(batch, pass, results.value, results.coefficient) /
         lists;
}

/// The same, preparing the loss's batch statistics on the way; for losses that remember nothing.
template <Loss L, class Columns, class Results>
  requires std::same_as<loss_memory<L>, nothing>
auto evaluate_into(L const& loss, Columns const& batch, Results const& results,
                   evaluate_options const& options = {}) {
  if constexpr (detail::is_promise<Columns>) {
    detail::promise_kept<L, Columns>();
    return evaluate_into(loss, batch.columns(), results, options);
  } else if constexpr (detail::same_kind<L, Columns>()) {
    nothing memory;
    return evaluate_into(loss, batch, results, prepare(loss, batch, memory), options);
  }
}

/// The same on lanes of the caller's choice, such as another library's packets, whatever the columns store.
///
///   evaluate_on<eigen_lane<double, 16>>(dpo{}, batch, results);
///
/// Lane    a Scalar with `value_type`, `width` (a power of two, at most 256), `load`, `store` and `sum`
template <class Lane, PairLoss L>
  requires std::same_as<loss_memory<L>, nothing>
double evaluate_on(L const& loss, pair_columns const& batch, pair_results const& results,
                   evaluate_options const& options = {}) {
  static_assert(detail::block_size % Lane::width == 0, "prefer: a lane's width divides 256");
  detail::check_batch(loss, batch, results);
  nothing memory;
  return detail::evaluate_any_pairs<Lane>(loss, prepare(loss, batch, memory), batch, results,
                                          options) /
         static_cast<double>(batch.size());
}
template <class Lane, UnpairedLoss L>
  requires std::same_as<loss_memory<L>, nothing>
double evaluate_on(L const& loss, unpaired_columns const& batch, unpaired_results const& results,
                   evaluate_options const& options = {}) {
  static_assert(detail::block_size % Lane::width == 0, "prefer: a lane's width divides 256");
  detail::check_batch(loss, batch, results);
  nothing memory;
  return detail::evaluate_unpaired<Lane>(loss, prepare(loss, batch, memory), batch, results,
                                         options) /
         static_cast<double>(batch.size());
}

/// What a pair loss says of a batch.
struct pair_evaluation {
  double loss = 0.0;          ///< mean over pairs
  std::vector<double> value;  ///< per pair, weight included [B]
  struct {
    std::vector<double> chosen;
    std::vector<double> rejected;
  } coefficient;  ///< d loss / d log_prob [B]
  struct {
    std::vector<double> chosen;
    std::vector<double> rejected;
  } divergence_coefficient;  ///< d loss / d divergence [B]; empty for losses that do not read it
};

/// What a loss over labelled completions or lists says of a batch.
struct evaluation {
  double loss = 0.0;                           ///< mean over examples or lists
  std::vector<double> value;                   ///< per example or list, weight included
  std::vector<double> coefficient;             ///< d loss / d log_prob, per completion
  std::vector<double> value_coefficient = {};  ///< d loss / d value_estimate; empty if not read
};

namespace detail {

template <Loss L>
pair_evaluation evaluate_columns(L const& loss, pair_columns const& batch,
                                 loss_state<L> const& state, evaluate_options const& options) {
  pair_evaluation out;
  out.value.resize(batch.size());
  out.coefficient.chosen.resize(batch.size());
  out.coefficient.rejected.resize(batch.size());
  pair_results results{
      .value = out.value, .chosen = out.coefficient.chosen, .rejected = out.coefficient.rejected};
  if constexpr (differentiates_divergence<L>) {
    out.divergence_coefficient.chosen.resize(batch.size());
    out.divergence_coefficient.rejected.resize(batch.size());
    results.chosen_divergence = out.divergence_coefficient.chosen;
    results.rejected_divergence = out.divergence_coefficient.rejected;
  }
  out.loss = evaluate_into(loss, batch, results, state, options);
  return out;
}
template <Loss L, class Columns>
evaluation evaluate_columns(L const& loss, Columns const& batch, loss_state<L> const& state,
                            evaluate_options const& options) {
  evaluation out;
  out.value.resize(batch.size());
  out.coefficient.resize(batch.policy.size());
  if constexpr (L::arity == 1) {
    unpaired_results results{.value = out.value, .coefficient = out.coefficient};
    if constexpr (differentiates_value<L>) {
      out.value_coefficient.resize(batch.size());
      results.value_estimate = out.value_coefficient;
    }
    out.loss = evaluate_into(loss, batch, results, state, options);
  } else {
    out.loss = evaluate_into(loss, batch, {.value = out.value, .coefficient = out.coefficient},
                             state, options);
  }
  return out;
}

}  // namespace detail

/// Value and coefficients of a loss over a batch, in vectors of double.
///
///   auto const result = prefer::evaluate(prefer::dpo{.beta = 0.1}, prefer::pair_columns{
///       .policy    = {.chosen = policy_chosen,    .rejected = policy_rejected},
///       .reference = {.chosen = reference_chosen, .rejected = reference_rejected}});
///
/// A loss that remembers (a running mean) updates `memory`. Formulas and errors as for evaluate_into.
template <Loss L, class Columns>
[[nodiscard]] auto evaluate(L const& loss, Columns const& batch, loss_memory<L>& memory,
                            evaluate_options const& options = {}) {
  if constexpr (detail::is_promise<Columns>) {
    detail::promise_kept<L, Columns>();
    return evaluate(loss, batch.columns(), memory, options);
  } else if constexpr (detail::same_kind<L, Columns>()) {
    return detail::evaluate_columns(loss, batch, prepare(loss, batch, memory), options);
  }
}

template <Loss L, class Columns>
  requires std::same_as<loss_memory<L>, nothing>
[[nodiscard]] auto evaluate(L const& loss, Columns const& batch,
                            evaluate_options const& options = {}) {
  nothing memory;
  return evaluate(loss, batch, memory, options);
}

namespace detail {

template <class L>
constexpr void expects_memory() {
  static_assert(std::same_as<loss_memory<L>, nothing>,
                "prefer: this loss remembers from batch to batch: make a prefer::loss_memory<L> "
                "memory once and hand "
                "it over, evaluate(loss, batch, memory); evaluate_into takes what prepare(loss, "
                "batch, memory) gives");
}

}  // namespace detail

/// A loss that remembers is told that its memory is missing.
template <Loss L, detail::known_columns Columns, class... More>
  requires(!std::same_as<loss_memory<L>, nothing>)
pair_evaluation evaluate(L const&, Columns const&, More const&...) {
  detail::expects_memory<L>();
  return {};
}
template <Loss L, detail::known_columns Columns, class Results>
  requires(!std::same_as<loss_memory<L>, nothing>)
double evaluate_into(L const&, Columns const&, Results const&, evaluate_options const& = {}) {
  detail::expects_memory<L>();
  return 0.0;
}

/// What is no loss is told why in one sentence.
template <class L, detail::known_columns Columns, class... More>
  requires(!Loss<L>)
pair_evaluation evaluate(L const&, Columns const&, More&&...) {
  static_assert(check::loss<L>());
  return {};
}
template <class L, detail::known_columns Columns, class... More>
  requires(!Loss<L>)
double evaluate_into(L const&, Columns const&, More&&...) {
  static_assert(check::loss<L>());
  return 0.0;
}

}  // namespace prefer::inline v0_1
