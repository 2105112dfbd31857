// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/batch/gather.hpp>
#include <prefer/batch/minibatch.hpp>
#include <prefer/batch/statistics.hpp>
#include <prefer/batch/strided.hpp>
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

namespace prefer::inline v0_1::detail {

/// A minibatch with its numbers: what policy and reference say of its completions, and what a loss makes of that.
/// The trainer's working memory, kept from step to step.
template <class P, Loss L, class R>
class scored_minibatch {
 public:
  using value_type = typename P::value_type;

  static constexpr std::size_t group_size = L::arity;  // 0: any
  using columns_type =
      std::conditional_t<group_size == 1, unpaired_columns,
                         std::conditional_t<group_size == 2, pair_columns, list_columns>>;
  /// Whether the loss reads this column, of those that a policy fills besides log_prob.
  template <column_set Column>
  static constexpr bool reads_output =
      !Column.empty() && names_of<columns_type>().contains(Column) && needs<L>.contains(Column);
  static constexpr bool reads_divergence = reads_output<column_name::divergence>;
  static constexpr bool reads_value = reads_output<column_name::value_estimate>;
  static constexpr bool reads_any_output = [] {
    bool any = false;
    completion_outputs<value_type> const none;
    completion_outputs<value_type>::describe(
        none, [&](auto is, auto const&) { any = any || reads_output<is.column>; });
    return any;
  }();
  /// Logits are no forward pass: whoever is asked for more than log_prob computes that on the way.
  static constexpr bool takes_logits =
      margin_only<L> && LogitPolicy<P, choice_batch> && !reads_any_output;

  scored_minibatch(P& policy, R& reference, bool reads_reference, bool allow_logits)
      : policy_(policy),
        reference_(reference),
        reads_reference_(reads_reference),
        by_logits_(takes_logits && allow_logits) {}

  /// Takes a part of the batch of a step, of `seed` what is random about its rows.
  void gather(ExampleSource auto& source, std::uint64_t step, std::uint64_t seed, auto const& all) {
    gather_part(source, step, batch_, all);
    batch_.expects_numbers(batch_.size());
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
  /// The columns that the source gives beside the data.
  [[nodiscard]] column_set beside() const { return batch_.numbers().available(); }
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
    for_each_output(wanted, [&](auto is, std::span<value_type>& to, auto& numbers) {
      if constexpr (variables.contains(is.column)) to = part(numbers, slice, begin);
    });
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
  [[nodiscard]] columns_type columns(std::size_t begin, std::size_t count) {
    columns_type out{};
    columns_type::describe(out, [&](auto is, per, auto& to) {
      if constexpr (is.name == column_name::policy) {
        view(to, of_completions(log_prob_, begin, count));
      } else if constexpr (is.name == column_name::reference) {
        if (reads_reference_) view(to, of_completions(reference_log_prob_, begin, count));
      } else if constexpr (is.name == column_name::uniform) {
        if (!uniform_.empty() || size() == 0) to = std::span(uniform_).subspan(begin, count);
      } else {
        completion_outputs<value_type> none;
        for_each_output(none, [&](auto output, auto&, auto& numbers) {
          if constexpr (output.column == is.name) view(to, of_completions(numbers, begin, count));
        });
      }
    });
    batch_.hand_over(out, begin, count);
    if constexpr (group_size == 1) {
      batch_.hand_over_numbers(out, begin, count);
      if (!kl_policy_.empty() || size() == 0) out.kl_examples = {kl_policy_, kl_reference_};
    } else if constexpr (group_size != 2) {
      std::size_t const first = batch_.offset()[begin];
      list_offset_.resize(count + 1);
      for (std::size_t g = 0; g <= count; ++g) list_offset_[g] = batch_.offset()[begin + g] - first;
      out.offset = list_offset_;
    }
    return out;
  }

  /// Values, and coefficients of the mean over the whole batch.
  void evaluate(L const& loss, std::size_t begin, std::size_t count, loss_state<L> const& state,
                executor threads) {
    auto const coefficients = of_completions(coefficient_, begin, count);
    auto const others = of_completions(other_coefficient_, begin, count);
    evaluate_options const each{.reduce = reduction::none, .threads = threads};
    auto results = [&] {
      mutable_column const value = std::span(value_).subspan(begin, count);
      if constexpr (group_size == 2) {
        pair_results out{.value = value};
        view_sides(out, coefficients);
        if constexpr (reads_divergence) {
          basic_completions<mutable_column> both;
          view_sides(both, others);
          out.chosen_divergence = both.chosen;
          out.rejected_divergence = both.rejected;
        }
        return out;
      } else if constexpr (group_size == 1) {
        unpaired_results out{.value = value, .coefficient = coefficients};
        if constexpr (reads_value) out.value_estimate = others;
        return out;
      } else {
        return list_results{.value = value, .coefficient = coefficients};
      }
    }();
    evaluate_into(loss, columns(begin, count), results, state, each);
    auto const mean = static_cast<value_type>(1.0 / static_cast<double>(examples_));
    for (value_type& c : coefficients) c *= mean;
    for (value_type& c : others) c *= mean;
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

  /// The largest size of a group's coefficients in the last evaluation, per nat.
  [[nodiscard]] double largest_coefficient(std::size_t group) const {
    std::size_t const first = batch_.offset()[group];
    std::size_t const count = batch_.offset()[group + 1] - first;
    double largest = largest_size(std::span(coefficient_).subspan(first, count));
    if (!other_coefficient_.empty()) {
      double const other = largest_size(std::span(other_coefficient_).subspan(first, count));
      if (other > largest) largest = other;
    }
    return largest;
  }
  /// Makes them 0.
  void settle(std::size_t group) {
    for (value_type& c : of_completions(coefficient_, group, 1)) c = 0;
    for (value_type& c : of_completions(other_coefficient_, group, 1)) c = 0;
  }

  /// Hands the coefficients of the last evaluation to the policy, in one backward pass.
  void backward(std::size_t begin, std::size_t count) {
    choice_batch const slice = batch_.slice(begin, count);
    completion_gradients<value_type> given{.log_prob = part(coefficient_, slice, begin)};
    if constexpr (takes_logits) {
      if (by_logits_) {
        policy_.backward_logit(slice, given.log_prob);
        return;
      }
    }
    if constexpr (reads_divergence) given.divergence = part(other_coefficient_, slice, begin);
    if constexpr (reads_value) given.value = part(other_coefficient_, slice, begin);
    backward_pass(policy_, slice, given, reference_);
  }

  /// Of the values of the last evaluation.
  [[nodiscard]] sum_and_count loss() const { return sum_of_values<value_type>(value_); }
  /// The first group in [begin, begin + count) with a value or a coefficient that is not finite.
  [[nodiscard]] not_finite first_not_finite(std::size_t begin, std::size_t count) const {
    return detail::first_not_finite<value_type>(value_, {}, coefficient_, batch_.offset(), begin,
                                                count);
  }

  /// Of pairs.
  [[nodiscard]] pair_metrics rewards(L const& loss) {
    return metrics(columns(0, size()), reward_rule_of(loss));
  }
  /// Of pairs: whether the columns hold log-probabilities, not logits.
  [[nodiscard]] bool has_log_probs() const { return !by_logits_; }
  /// Of pairs: the share whose chosen completion is less likely under the policy than under the reference.
  [[nodiscard]] sum_and_count displaced_share() {
    if (by_logits_ || !reads_reference_) return {};
    auto const fell =
        batch_statistics(columns(0, size()), "displaced_share").sums([](auto const& pair) {
          auto const r = pair.chosen.log_ratio();
          return where(r < 0.0, std::remove_const_t<decltype(r)>(1.0));
        });
    return {fell, static_cast<double>(size())};
  }

 private:
  static_assert(
      !reads_divergence || DivergencePolicy<P, R, choice_batch>,
      "prefer: this loss reads divergence, which this policy and reference do not give: a "
      "policy over tokens gives it in evaluate(batch, outputs, reference)");
  static_assert(
      !reads_value || outputs_of<P>().contains(completion_output::value),
      "prefer: this loss reads value_estimate, which this policy does not give: one with a "
      "value head gives it as outputs.value of evaluate(batch, outputs)");
  static_assert(!reads_output<column_name::alignment> || AlignmentPolicy<P, choice_batch>,
                "prefer: this loss reads alignment, which this policy does not give: a policy over "
                "tokens gives it in evaluate(batch, outputs)");
  static_assert(
      !(reads_output<column_name::perturbed_toward> || reads_output<column_name::perturbed_away>) ||
          PerturbablePolicy<P, R, choice_batch>,
      "prefer: this loss reads log-probabilities of perturbed policies, which this policy "
      "and reference do not give: a policy over tokens gives them in evaluate(batch, outputs, "
      "reference)");

  void resize(std::size_t groups, std::size_t completions) {
    log_prob_.resize(completions);
    coefficient_.resize(completions);
    reference_log_prob_.resize(completions);
    value_.resize(groups);
    if constexpr (reads_divergence || reads_value) other_coefficient_.resize(completions);
    completion_outputs<value_type> none;
    for_each_output(none, [&](auto, auto&, auto& numbers) { numbers.resize(completions); });
  }

  /// Calls visit(description, its member of `of`, numbers of all completions) for each output that the loss reads.
  template <class Visit>
  void for_each_output(completion_outputs<value_type>& of, Visit const& visit) {
    std::size_t at = 0;
    completion_outputs<value_type>::describe(of, [&](auto is, auto& member) {
      if constexpr (reads_output<is.column>) visit(is, member, said_[at]);
      ++at;
    });
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

  // Of a column with one number per completion, what belongs to groups.
  template <class T>
  [[nodiscard]] std::span<T> of_completions(std::vector<T>& values, std::size_t begin,
                                            std::size_t count) {
    if (values.empty()) return {};
    std::size_t const first = batch_.offset()[begin];
    return std::span(values).subspan(first, batch_.offset()[begin + count] - first);
  }
  template <class T>
  [[nodiscard]] std::span<T> part(std::vector<T>& values, choice_batch const& slice,
                                  std::size_t begin) {
    return of_completions(values, begin, slice.size());
  }
  // As a column; of pairs every second number is one side's.
  template <class To, class T>
  static void view(To& to, std::span<T> numbers) {
    if constexpr (requires { to.rejected; }) {
      view_sides(to, numbers);
    } else {
      to = numbers;
    }
  }

  void ask_reference(choice_batch const& slice, std::span<typename R::value_type> out) {
    // Where only margins are read, logits do: a shift by a constant per prompt cancels on either side.
    if constexpr (takes_logits && requires { reference_.logit(slice, out); }) {
      if (by_logits_) {
        reference_.logit(slice, out);
        return;
      }
    }
    reference_.log_prob(slice, out);
  }

  void ask_policy(L const& loss, choice_batch const& slice, std::size_t begin) {
    completion_outputs<value_type> wanted{.log_prob = part(log_prob_, slice, begin)};
    for_each_output(wanted, [&](auto, std::span<value_type>& to, auto& numbers) {
      to = part(numbers, slice, begin);
    });
    wanted.perturbation = hyper_parameter_or(loss, "perturbation", wanted.perturbation);
    ask_policy(slice, wanted);
  }
  void ask_policy(choice_batch const& slice, completion_outputs<value_type> const& wanted) {
    if constexpr (takes_logits) {
      if (by_logits_) {
        policy_.logit(slice, wanted.log_prob);
        return;
      }
    }
    forward_pass(policy_, slice, wanted, reference_);
  }

  P& policy_;
  R& reference_;
  bool reads_reference_;
  bool by_logits_;

  choice_minibatch batch_;
  std::size_t examples_ = 0;
  std::vector<value_type> log_prob_;
  std::vector<typename R::value_type> reference_log_prob_;
  std::vector<value_type> coefficient_;
  std::vector<value_type> value_;
  std::vector<value_type> other_coefficient_;  // of the output that has one: divergence or value
  std::vector<value_type> said_[count_outputs<value_type>()];  // those that are read, as described
  std::vector<float> uniform_;
  std::vector<value_type> kl_policy_;
  std::vector<typename R::value_type> kl_reference_;
  std::vector<std::size_t> list_offset_;
};

}  // namespace prefer::inline v0_1::detail
