// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/gather.hpp>
#include <prefer/batch/minibatch.hpp>
#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/completion_outputs.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/policy/token_policy.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/reference/reference.hpp>
#include <prefer/train/example_source.hpp>
#include <prefer/train/example_values.hpp>
#include <prefer/train/pair_side.hpp>

namespace prefer::detail {

/// A minibatch with its numbers: what policy and reference say of its completions, and what a loss makes of that.
/// The trainer's working memory, kept from step to step.
template <class P, Loss L, class R>
class scored_minibatch {
 public:
  using value_type = typename P::value_type;

  static constexpr std::size_t group_size = L::arity;  // 0: any
  static constexpr bool reads_divergence =
      group_size == 2 && needs<L>.contains(column_name::divergence);
  static constexpr bool reads_alignment =
      group_size == 2 && needs<L>.contains(column_name::alignment);
  static constexpr bool reads_perturbed =
      group_size == 2 && (needs<L>.contains(column_name::perturbed_toward) ||
                          needs<L>.contains(column_name::perturbed_away));
  static constexpr bool reads_value =
      group_size == 1 && needs<L>.contains(column_name::value_estimate);
  /// Scores are no forward pass: whoever is asked for more than log_prob computes that on the way.
  static constexpr bool can_score = margin_only<L> && ScoringPolicy<P, choice_batch> &&
                                    !reads_divergence && !reads_alignment && !reads_perturbed;

  scored_minibatch(P& policy, R& reference, bool reads_reference, bool allow_scores)
      : policy_(policy),
        reference_(reference),
        reads_reference_(reads_reference),
        by_scores_(can_score && allow_scores) {}

  /// Takes a part of the batch of a step, of `seed` what is random about its rows.
  void gather(ExampleSource auto& source, std::uint64_t step, batch_part const& part,
              std::uint64_t seed) {
    source.gather(step, part, batch_);
    examples_ = batch_.size();
    kl_policy_.clear();
    kl_reference_.clear();
    resize(batch_.size(), batch_.completions());
    if constexpr (group_size == 2 && may_read<L>.contains(column_name::uniform)) {
      draw_uniform(step, seed);
    }
  }
  /// How many examples the batch has with the parts of other processes: what its mean is over.
  void be_part_of(std::size_t examples) { examples_ = examples; }
  [[nodiscard]] std::size_t own_examples() const { return batch_.size(); }
  [[nodiscard]] std::size_t examples() const { return examples_; }

  [[nodiscard]] std::size_t size() const { return batch_.size(); }
  [[nodiscard]] choice_data const& data() const { return batch_.data(); }
  [[nodiscard]] std::size_t row(std::size_t group) const { return batch_.row()[group]; }
  /// Groups [begin, begin + count), to be used before the next call.
  [[nodiscard]] choice_batch groups(std::size_t begin, std::size_t count) {
    return batch_.slice(begin, count);
  }
  [[nodiscard]] bool has_kl_examples() const { return batch_.has_kl_examples(); }

  /// Asks about groups [begin, begin + count): the reference first, then the policy in one forward pass, so that
  /// backward can follow with nothing between.
  void score(L const& loss, std::size_t begin, std::size_t count) {
    choice_batch const slice = batch_.slice(begin, count);
    if (reads_reference_) ask_reference(slice, part(reference_log_prob_, slice, begin));
    ask_policy(loss, slice, begin);
  }
  /// Asks the policy once more for that which backward follows.
  void score_policy_again(std::size_t begin, std::size_t count) {
    choice_batch const slice = batch_.slice(begin, count);
    completion_outputs<value_type> wanted{.log_prob = part(log_prob_, slice, begin)};
    if constexpr (reads_divergence) wanted.divergence = part(divergence_, slice, begin);
    if constexpr (reads_value) wanted.value = part(value_estimate_, slice, begin);
    ask_policy(slice, wanted);
  }
  /// Of the completions of other prompts, where the data has them; whether the loss wants them, its prepare says.
  void score_kl_examples(std::size_t begin, std::size_t count) {
    kl_policy_.resize(batch_.size());
    kl_reference_.resize(batch_.size());
    choice_batch const slice = batch_.kl_slice(begin, count);
    reference_.log_prob(slice, std::span(kl_reference_).subspan(begin, count));
    forward_pass(policy_, slice, {.log_prob = std::span(kl_policy_).subspan(begin, count)},
                 reference_);
  }

  /// Groups [begin, begin + count) as the loss reads them.
  [[nodiscard]] auto columns(std::size_t begin, std::size_t count) {
    if constexpr (group_size == 1) {
      return unpaired_slice(begin, count);
    } else if constexpr (group_size == 2) {
      return pair_slice(begin, count);
    } else {
      return list_slice(begin, count);
    }
  }

  /// Values, and coefficients of the mean over the whole batch.
  void evaluate(L const& loss, std::size_t begin, std::size_t count, loss_state<L> const& state,
                executor threads) {
    std::size_t const first = batch_.offset()[begin];
    std::size_t const size = batch_.offset()[begin + count] - first;
    auto const coefficients = std::span(coefficient_).subspan(first, size);
    auto const values = std::span(value_).subspan(begin, count);
    value_type const mean = share_of_mean();
    evaluate_options const each{.reduce = reduction::none, .threads = threads};
    auto const read = columns(begin, count);
    if constexpr (group_size == 2) {
      auto const chosen = std::span(chosen_.coefficient).subspan(begin, count);
      auto const rejected = std::span(rejected_.coefficient).subspan(begin, count);
      pair_results results{.value = values, .chosen = chosen, .rejected = rejected};
      if constexpr (reads_divergence) {
        results.chosen_divergence = std::span(chosen_.divergence_coefficient).subspan(begin, count);
        results.rejected_divergence =
            std::span(rejected_.divergence_coefficient).subspan(begin, count);
      }
      evaluate_into(loss, read, results, state, each);
      for (std::size_t g = 0; g < count; ++g) {
        coefficients[2 * g] = chosen[g] * mean;
        coefficients[2 * g + 1] = rejected[g] * mean;
      }
    } else {
      if constexpr (reads_value) {
        auto const of_value = std::span(value_coefficient_).subspan(first, size);
        evaluate_into(loss, read,
                      {.value = values, .coefficient = coefficients, .value_estimate = of_value},
                      state, each);
        for (value_type& c : of_value) c *= mean;
      } else {
        evaluate_into(loss, read, {.value = values, .coefficient = coefficients}, state, each);
      }
      for (value_type& c : coefficients) c *= mean;
    }
  }

  /// The same for the whole batch and a loss that puts together rows of all processes: each evaluates them all, as double,
  /// and keeps what belongs to its own.
  void evaluate_gathered(L const& loss, loss_state<L> const& state, executor threads,
                         Communicator auto const& processes) {
    auto const gathered = gather_rows(columns(0, size()), processes);
    auto const rows = gathered.columns();
    std::vector<double> value(rows.size()), chosen(rows.size()), rejected(rows.size());
    evaluate_into(loss, rows, {.value = value, .chosen = chosen, .rejected = rejected}, state,
                  {.reduce = reduction::none, .threads = threads});
    double const mean = 1.0 / static_cast<double>(examples_);
    for (std::size_t g = 0; g < size(); ++g) {
      std::size_t const row = gathered.begin() + g;
      value_[g] = static_cast<value_type>(value[row]);
      coefficient_[2 * g] = static_cast<value_type>(chosen[row] * mean);
      coefficient_[2 * g + 1] = static_cast<value_type>(rejected[row] * mean);
    }
  }

  /// Hands the coefficients of the last evaluation to the policy, in one backward pass.
  void backward(std::size_t begin, std::size_t count) {
    choice_batch const slice = batch_.slice(begin, count);
    completion_gradients<value_type> given{.log_prob = part(coefficient_, slice, begin)};
    if constexpr (can_score) {
      if (by_scores_) {
        policy_.backward_score(slice, given.log_prob);
        return;
      }
    }
    if constexpr (reads_divergence) {
      value_type const mean = share_of_mean();
      auto const to = part(divergence_coefficient_, slice, begin);
      for (std::size_t g = 0; g < slice.size(); ++g) {
        to[2 * g] = chosen_.divergence_coefficient[begin + g] * mean;
        to[2 * g + 1] = rejected_.divergence_coefficient[begin + g] * mean;
      }
      given.divergence = to;
    }
    if constexpr (reads_value) given.value = part(value_coefficient_, slice, begin);
    backward_pass(policy_, slice, given, reference_);
  }

  /// Of the values of the last evaluation.
  [[nodiscard]] sum_and_count loss() const { return sum_of_values<value_type>(value_); }
  /// The first group in [begin, begin + count) with a value or a coefficient that is not finite.
  [[nodiscard]] not_finite first_not_finite(std::size_t begin,
                                                           std::size_t count) const {
    return detail::first_not_finite<value_type>(value_, {}, coefficient_, batch_.offset(), begin,
                                                count);
  }

  /// Of pairs.
  [[nodiscard]] pair_metrics rewards(L const& loss) const {
    return metrics(pair_columns_of(0, batch_.size()), reward_rule_of(loss));
  }
  /// Of pairs: whether the columns hold log-probabilities, not scores.
  [[nodiscard]] bool has_log_probs() const { return !by_scores_; }
  /// Of pairs: the share whose chosen completion is less likely under the policy than under the reference.
  [[nodiscard]] sum_and_count displaced_share() const {
    sum_and_count fell;
    if (by_scores_ || !reads_reference_) return fell;
    for (std::size_t g = 0; g < batch_.size(); ++g) {
      bool const below =
          static_cast<double>(chosen_.policy[g]) < static_cast<double>(chosen_.reference[g]);
      fell = fell + sum_and_count{below ? 1.0 : 0.0, 1.0};
    }
    return fell;
  }

 private:
  using side = pair_side<value_type, typename R::value_type>;

  static_assert(
      !reads_divergence || DivergencePolicy<P, R, choice_batch>,
      "prefer: this loss reads divergence, which this policy and reference do not give: a "
      "policy over tokens gives it in evaluate(batch, outputs, reference)");
  static_assert(
      !reads_value || outputs_of<P>().contains(completion_output::value),
      "prefer: this loss reads value_estimate, which this policy does not give: one with a "
      "value head gives it as outputs.value of evaluate(batch, outputs)");
  static_assert(!reads_alignment || AlignmentPolicy<P, choice_batch>,
                "prefer: this loss reads alignment, which this policy does not give: a policy over "
                "tokens gives it in evaluate(batch, outputs)");
  static_assert(
      !reads_perturbed || PerturbablePolicy<P, R, choice_batch>,
      "prefer: this loss reads log-probabilities of perturbed policies, which this policy "
      "and reference do not give: a policy over tokens gives them in evaluate(batch, outputs, "
      "reference)");

  [[nodiscard]] value_type share_of_mean() const {
    return static_cast<value_type>(1.0 / static_cast<double>(examples_));
  }

  void resize(std::size_t groups, std::size_t completions) {
    log_prob_.resize(completions);
    coefficient_.resize(completions);
    reference_log_prob_.resize(completions);
    value_.resize(groups);
    if constexpr (reads_divergence) {
      divergence_.resize(completions);
      divergence_coefficient_.resize(completions);
    }
    if constexpr (reads_alignment) alignment_.resize(completions);
    if constexpr (reads_value) {
      value_estimate_.resize(completions);
      value_coefficient_.resize(completions);
    }
    if constexpr (reads_perturbed) {
      perturbed_toward_.resize(completions);
      perturbed_away_.resize(completions);
    }
    if constexpr (group_size == 2) {
      for (side* column : {&chosen_, &rejected_}) {
        column->resize(groups, {.divergence = reads_divergence,
                                .alignment = reads_alignment,
                                .perturbed = reads_perturbed});
      }
    }
  }

  // One number per pair, addressed by step and row: the same for any order and any micro-batch.
  void draw_uniform(std::uint64_t draw, std::uint64_t seed) {
    uniform_.resize(batch_.size());
    for (std::size_t g = 0; g < batch_.size(); ++g) {
      random_stream numbers({.seed = seed,
                             .purpose = random_purpose::selection,
                             .step = draw,
                             .index = batch_.row()[g]});
      uniform_[g] = uniform01_float(numbers);
    }
  }

  // Of a column with one number per completion, what belongs to a slice of groups that starts at `begin`.
  template <class T>
  [[nodiscard]] std::span<T> part(std::vector<T>& values, choice_batch const& slice,
                                  std::size_t begin) {
    return std::span(values).subspan(batch_.offset()[begin], slice.completions());
  }

  void ask_reference(choice_batch const& slice, std::span<typename R::value_type> out) {
    // Where only margins are read, scores do: a shift by a constant per prompt cancels on either side.
    if constexpr (can_score && requires { reference_.score(slice, out); }) {
      if (by_scores_) {
        reference_.score(slice, out);
        return;
      }
    }
    reference_.log_prob(slice, out);
  }

  void ask_policy([[maybe_unused]] L const& loss, choice_batch const& slice, std::size_t begin) {
    completion_outputs<value_type> wanted{.log_prob = part(log_prob_, slice, begin)};
    if constexpr (reads_divergence) wanted.divergence = part(divergence_, slice, begin);
    if constexpr (reads_alignment) wanted.alignment = part(alignment_, slice, begin);
    if constexpr (reads_value) wanted.value = part(value_estimate_, slice, begin);
    if constexpr (reads_perturbed) {
      wanted.perturbed_toward = part(perturbed_toward_, slice, begin);
      wanted.perturbed_away = part(perturbed_away_, slice, begin);
      wanted.perturbation = parameter_or(loss, "perturbation", wanted.perturbation);
    }
    ask_policy(slice, wanted);
  }
  void ask_policy(choice_batch const& slice, completion_outputs<value_type> const& wanted) {
    if constexpr (can_score) {
      if (by_scores_) {
        policy_.score(slice, wanted.log_prob);
        return;
      }
    }
    forward_pass(policy_, slice, wanted, reference_);
  }

  // Absent where the data has no such column. A part without rows has every column, each empty, so that it is asked for
  // no reason why one is missing.
  [[nodiscard]] column part(auto const& values, std::size_t begin, std::size_t count) const {
    if (values.empty() && batch_.size() != 0) return {};
    return std::span(values).subspan(begin, count);
  }

  [[nodiscard]] pair_columns pair_slice(std::size_t begin, std::size_t count) {
    for (std::size_t g = begin; g < begin + count; ++g) {
      std::size_t const i = batch_.offset()[g];
      chosen_.policy[g] = log_prob_[i];
      rejected_.policy[g] = log_prob_[i + 1];
      chosen_.reference[g] = reference_log_prob_[i];
      rejected_.reference[g] = reference_log_prob_[i + 1];
      auto const split = [&](std::vector<value_type> side::*column,
                             std::vector<value_type> const& from) {
        (chosen_.*column)[g] = from[i];
        (rejected_.*column)[g] = from[i + 1];
      };
      if constexpr (reads_divergence) split(&side::divergence, divergence_);
      if constexpr (reads_alignment) split(&side::alignment, alignment_);
      if constexpr (reads_perturbed) {
        split(&side::perturbed_toward, perturbed_toward_);
        split(&side::perturbed_away, perturbed_away_);
      }
    }
    return pair_columns_of(begin, count);
  }

  template <class T>
  [[nodiscard]] completions both(std::vector<T> side::*column, std::size_t begin,
                                 std::size_t count) const {
    return {part(chosen_.*column, begin, count), part(rejected_.*column, begin, count)};
  }

  [[nodiscard]] pair_columns pair_columns_of(std::size_t begin, std::size_t count) const {
    pair_columns columns{
        .policy = {part(chosen_.policy, begin, count), part(rejected_.policy, begin, count)},
        .divergence = both(&side::divergence, begin, count),
        .alignment = both(&side::alignment, begin, count),
        .perturbed_toward = both(&side::perturbed_toward, begin, count),
        .perturbed_away = both(&side::perturbed_away, begin, count),
        .uniform = part(uniform_, begin, count)};
    batch_.hand_over(columns, begin, count);
    if (reads_reference_) {
      columns.reference = {part(chosen_.reference, begin, count),
                           part(rejected_.reference, begin, count)};
    }
    return columns;
  }

  [[nodiscard]] unpaired_columns unpaired_slice(std::size_t begin, std::size_t count) const {
    unpaired_columns columns{.policy = part(log_prob_, begin, count)};
    batch_.hand_over(columns, begin, count);
    if (reads_reference_) columns.reference = part(reference_log_prob_, begin, count);
    if constexpr (reads_value) columns.value_estimate = part(value_estimate_, begin, count);
    if (!kl_policy_.empty() || batch_.size() == 0) {
      columns.kl_examples = {kl_policy_, kl_reference_};
    }
    return columns;
  }

  [[nodiscard]] list_columns list_slice(std::size_t begin, std::size_t count) {
    std::size_t const first = batch_.offset()[begin];
    std::size_t const size = batch_.offset()[begin + count] - first;
    list_offset_.resize(count + 1);
    for (std::size_t g = 0; g <= count; ++g) list_offset_[g] = batch_.offset()[begin + g] - first;
    list_columns columns{.policy = part(log_prob_, first, size), .offset = list_offset_};
    batch_.hand_over(columns, begin, count);
    if (reads_reference_) columns.reference = part(reference_log_prob_, first, size);
    return columns;
  }

  P& policy_;
  R& reference_;
  bool reads_reference_;
  bool by_scores_;

  choice_minibatch batch_;
  std::size_t examples_ = 0;
  std::vector<value_type> log_prob_;
  std::vector<typename R::value_type> reference_log_prob_;
  std::vector<value_type> coefficient_;
  std::vector<value_type> value_;
  side chosen_;
  side rejected_;
  std::vector<value_type> divergence_;
  std::vector<value_type> divergence_coefficient_;
  std::vector<value_type> alignment_;
  std::vector<value_type> value_estimate_;
  std::vector<value_type> value_coefficient_;
  std::vector<value_type> perturbed_toward_;
  std::vector<value_type> perturbed_away_;
  std::vector<float> uniform_;
  std::vector<value_type> kl_policy_;
  std::vector<typename R::value_type> kl_reference_;
  std::vector<std::size_t> list_offset_;
};

}  // namespace prefer::detail
