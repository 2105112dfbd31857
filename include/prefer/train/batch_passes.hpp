// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/reference/reference.hpp>
#include <prefer/train/micro_batches.hpp>
#include <prefer/train/options.hpp>
#include <prefer/train/scored_minibatch.hpp>
#include <prefer/train/scored_tokens.hpp>
#include <prefer/train/several_processes.hpp>
#include <prefer/train/step_report.hpp>

namespace prefer::inline v0_1::detail {

/// The examples of a step on their way: gathered, cut into micro-batches, through policy and reference to the loss, and
/// back to the gradient.
///
/// `all` is the Communicator of the processes that share the batch.
template <class P, Loss L, class R, bool Several>
class batch_passes {
  using scored_batch =
      std::conditional_t<is_over_tokens<L>, scored_tokens<P, L, R>, scored_minibatch<P, L, R>>;

 public:
  static constexpr bool takes_logits = scored_batch::takes_logits;

  batch_passes(P& policy, R& reference, bool reads_reference, train_options const& options)
      : batch_(policy, reference, reads_reference, options.allow_logits), options_(options) {}

  /// Takes this process's part of the batch of a step, counted from 0.
  void gather(auto& source, std::uint64_t step, auto const& all) {
    step_ = step;
    batch_.gather(source, step, options_.seed, all);
  }
  [[nodiscard]] choice_data const& data() const { return batch_.data(); }
  /// The columns that the source gives beside the data.
  [[nodiscard]] column_set beside() const { return batch_.beside(); }

  /// Says how many examples the batch has on all processes, and cuts this one's part.
  void cut(P& policy, auto const& all) {
    double examples[] = {static_cast<double>(batch_.own_examples())};
    all.all_sum(examples);
    batch_.be_part_of(static_cast<std::size_t>(examples[0]));
    parts_.cut(policy, batch_.groups(0, batch_.size()), options_);
  }
  [[nodiscard]] std::size_t examples() const { return batch_.examples(); }

  /// See expect_initial_reference.
  void expect_start(P& policy, R& reference) {
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      expect_initial_reference(policy, reference, batch_.groups(parts_.begin(i), parts_.count(i)));
    }
  }

  /// Adds the gradient of this process's part up. False if `on_part` has interrupted.
  ///
  /// Errors  precondition_error naming step and row for a loss or coefficient that is not finite
  template <class OnPart>
  bool run(L const& loss, loss_memory<L>& memory, auto const& all, OnPart& on_part) {
    passage through(parts_, on_part, step_ + 1);
    if constexpr (!reads_whole_batch) {
      if (options_.skip_settled == 0.0) return one_pass(loss, all, through);
    }
    return two_passes(loss, memory, all, through);
  }

  /// The means over the examples of all processes.
  void measure(L const& loss, step_report& report, auto const& all) {
    reported_mean means[7] = {{batch_.loss(), &report.loss}};
    if constexpr (L::arity == 2) {
      pair_metrics const sums = batch_.rewards(loss);
      means[1] = {sums.reward_margin, &report.reward_margin};
      means[2] = {sums.accuracy, &report.accuracy};
      if (batch_.has_log_probs()) {
        means[3] = {sums.log_prob_chosen, &report.log_prob_chosen};
        means[4] = {sums.log_prob_rejected, &report.log_prob_rejected};
        means[6] = {sums.reward_chosen, &report.reward_chosen};
      }
      means[5] = {batch_.displaced_share(), &report.displaced_share};
    }
    report_means(means, all);
    if (options_.skip_settled == 0.0) return;
    double left_out[] = {static_cast<double>(settled_)};
    all.all_sum(left_out);
    report.settled = left_out[0];
  }

 private:
  // Whether a row's coefficient depends on other rows: through a statistic, or through who is put together with whom.
  static constexpr bool reads_whole_batch = !std::same_as<loss_state<L>, nothing> || matches<L>;

  bool one_pass(L const& loss, auto const& all, auto& through) {
    through.announce(batch_.size());
    through([&](std::size_t begin, std::size_t count) {
      batch_.score(loss, begin, count);
      evaluate(loss, begin, count, {});
      batch_.backward(begin, count);
    });
    return through.uninterrupted(all);
  }

  // A batch statistic needs every log-probability before the first coefficient, and so does the largest coefficient. In one
  // piece, and scored last, backward can follow at once; else each piece is scored again before its backward.
  bool two_passes(L const& loss, loss_memory<L>& memory, auto const& all, auto& through) {
    bool const has_others = L::arity == 1 && batch_.has_kl_examples();
    through.announce(batch_.size() * (has_others ? 3 : 2));
    if constexpr (L::arity == 1) {
      auto const score_others = [&](auto... groups) { batch_.score_kl_examples(groups...); };
      if (has_others) through(score_others);
    }
    through([&](std::size_t begin, std::size_t count) { batch_.score(loss, begin, count); });
    if (!through.uninterrupted(all)) return false;
    if constexpr (reads_whole_batch) {
      auto const state = prepare(loss, batch_.columns(0, batch_.size()), memory, all);
      if constexpr (Several && matches<L>) {
        batch_.evaluate_gathered(loss, state, options_.threads, all);
        expect_finite(0, batch_.size());
      } else {
        evaluate(loss, 0, batch_.size(), state);
      }
    } else {
      evaluate(loss, 0, batch_.size(), {});
    }
    settle(all);
    through([&](std::size_t begin, std::size_t count) {
      if (parts_.size() > 1) {
        backward_of_unsettled(begin, begin + count);
      } else if (settled_ != count) {
        batch_.backward(begin, count);  // what is 0 stays in the batch that was scored
      }
    });
    return through.uninterrupted(all);
  }

  // Finds the groups below the stated share of the largest coefficient that any process has.
  void settle(auto const& all) {
    settled_ = 0;
    is_settled_.assign(batch_.size(), false);
    if (options_.skip_settled == 0.0) return;
    double largest[] = {0.0};
    for (std::size_t g = 0; g != batch_.size(); ++g) {
      double const size = batch_.largest_coefficient(g);
      if (size > largest[0]) largest[0] = size;
    }
    for (double const other : all.all_gather(largest)) {
      if (other > largest[0]) largest[0] = other;
    }
    for (std::size_t g = 0; g != batch_.size(); ++g) {
      if (!(batch_.largest_coefficient(g) < options_.skip_settled * largest[0])) continue;
      batch_.settle(g);
      is_settled_[g] = true;
      ++settled_;
    }
  }
  // Those that lie side by side are scored again together, and the settled ones not at all.
  void backward_of_unsettled(std::size_t begin, std::size_t end) {
    while (begin != end) {
      std::size_t last = begin;
      while (last != end && !is_settled_[last]) ++last;
      if (last != begin) {
        batch_.score_policy_again(begin, last - begin);
        batch_.backward(begin, last - begin);
      }
      while (last != end && is_settled_[last]) ++last;
      begin = last;
    }
  }

  void evaluate(L const& loss, std::size_t begin, std::size_t count, loss_state<L> const& state) {
    if (count == 0) return;
    batch_.evaluate(loss, begin, count, state, options_.threads);
    expect_finite(begin, count);
  }

  // One number that is not finite would spread to every parameter.
  void expect_finite(std::size_t begin, std::size_t count) const {
    auto const bad = batch_.first_not_finite(begin, count);
    if (!bad) return;
    broken("trainer: at step " + std::to_string(step_ + 1) + " " + bad.what + " of row " +
           std::to_string(batch_.row(bad.group)) + " is not finite");
  }

  scored_batch batch_;
  micro_batches parts_;
  train_options const& options_;
  std::vector<bool> is_settled_;  // groups
  std::size_t settled_ = 0;
  std::uint64_t step_ = 0;
};

}  // namespace prefer::inline v0_1::detail
