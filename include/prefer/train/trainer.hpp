// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/minibatch.hpp>
#include <prefer/beta/schedule.hpp>
#include <prefer/expects.hpp>
#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/random/order.hpp>
#include <prefer/reference/reference.hpp>
#include <prefer/train/adamw.hpp>
#include <prefer/train/check_data.hpp>
#include <prefer/train/checkpoint.hpp>
#include <prefer/train/clip.hpp>
#include <prefer/train/options.hpp>
#include <prefer/train/run_fingerprint.hpp>
#include <prefer/train/scored_minibatch.hpp>
#include <prefer/train/step_report.hpp>

namespace prefer {

/// Trains a policy by preferences, one optimizer step at a time.
///
///   prefer::trainer run(policy, prefer::dpo{.beta = 0.1}, reference, data, {.batch_size = 256});
///   run.run([](prefer::step_report const& r) { std::printf("%g\n", r.loss); });
///
/// Policy, reference and data are borrowed and outlive the trainer; the data does not change meanwhile. While
/// the trainer lives, policy and reference run on its threads, and serially from then on. The same bits come
/// out for any number of threads, any micro_batch_size and any number of save and resume on the way. A step
/// completes or leaves the parameters as they were.
///
/// Errors  precondition_error for data that does not fit the loss, a loss or gradient that is not finite, a
///         reference that is not what it claims to be; backend_error from checkpoints
template <class P, Loss L, class R, class Beta = beta_of_the_loss>
  requires Policy<P, choice_batch> && Reference<R, choice_batch> &&
           (std::same_as<Beta, beta_of_the_loss> || BetaRule<Beta>)
class trainer {
 public:
  using value_type = typename P::value_type;

  trainer(P& policy, L loss, R& reference, choice_data const& data,
          train_options const& options = {}, Beta beta = {})
      : policy_(policy),
        loss_(loss),
        reference_(reference),
        data_(data),
        options_(options),
        beta_(beta),
        parameters_(policy.parameters()),
        now_{.optimizer = adamw<value_type>(options.optimizer)},
        batch_(policy, reference, reads(loss).contains(column_name::reference),
               options.allow_scores) {
    check_options();
    check_data(loss_, data_);
    use(options_.threads);
    discard_gradient();
  }
  // clang-format off
  trainer(P&, L, R&, choice_data const&&, train_options const& = {}, Beta = {}) = delete;  // prefer: the data outlives the trainer; give it a name
  // clang-format on
  trainer(trainer const&) = delete;
  trainer& operator=(trainer const&) = delete;
  ~trainer() { use({}); }

  [[nodiscard]] std::uint64_t steps_done() const { return now_.step; }
  [[nodiscard]] std::uint64_t steps_planned() const {
    if (options_.steps != 0) return options_.steps;
    constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t const each = steps_per_epoch();
    return options_.epochs > most / each ? most : options_.epochs * each;
  }
  [[nodiscard]] std::uint64_t steps_per_epoch() const {
    return data_.size() / options_.batch_size + (data_.size() % options_.batch_size != 0 ? 1 : 0);
  }
  [[nodiscard]] bool done() const { return now_.step >= steps_planned() || now_.stopped; }
  [[nodiscard]] L const& loss() const { return loss_; }

  /// One optimizer step on the next batch.
  step_report step() {
    if (!gradient_is_clear_) discard_gradient();
    gather_next();
    detail::apply_beta(loss_, beta_, now_.step);
    if (now_.step == 0 && options_.reference_is_start) {
      expect_initial_reference(policy_, reference_, batch_.whole());
    }
    step_report report{.step = now_.step + 1,
                       .steps = steps_planned(),
                       .learning_rate = options_.rate(now_.step),
                       .beta = beta_of(loss_)};
    // Until the optimizer has moved the parameters, an exception leaves all but gradients as it was, and
    // those are discarded before the next step.
    gradient_is_clear_ = false;
    loss_memory<L> memory = now_.memory;
    if constexpr (reads_whole_batch) {
      two_passes(memory);
    } else {
      one_pass();
    }
    if constexpr (requires { policy_.finish_backward(); }) policy_.finish_backward();
    measure(report);
    now_.optimizer.step(parameters_, report.learning_rate, options_.threads);
    now_.memory = memory;
    ++now_.step;
    clear_gradient();
    gradient_is_clear_ = true;
    if constexpr (requires { beta_.observe(policy_, reference_, now_.step); }) {
      static_assert(detail::has_beta_state<Beta>,
                    "prefer: a beta rule that observes has identity(), save and load");
      beta_.observe(policy_, reference_, now_.step);
    }
    if constexpr (requires { reference_.after_step(policy_, now_.step); }) {
      reference_.after_step(policy_, now_.step);
    }
    return report;
  }

  /// Steps until the plan is done. `on_step(report)` may return false to interrupt.
  template <class OnStep>
  run_outcome run(OnStep&& on_step) {
    return run(on_step, {}, [](P&) { return 0.0; });
  }
  run_outcome run() {
    return run([](step_report const&) {});
  }

  /// The same with an evaluation every `plan.every` steps: `evaluate(policy)` returns a number, the higher
  /// the better; after `plan.patience` of them without improvement the run stops.
  template <class OnStep, class Evaluate>
  run_outcome run(OnStep&& on_step, evaluation_plan const& plan, Evaluate&& evaluate) {
    while (!done()) {
      step_report const report = step();
      if (plan.every != 0 && (now_.step % plan.every == 0 || done())) {
        judge(static_cast<double>(evaluate(policy_)), plan);
      }
      if constexpr (std::convertible_to<decltype(on_step(report)), bool>) {
        if (!on_step(report)) return run_outcome::interrupted;
      } else {
        on_step(report);
      }
    }
    if (plan.restore_best && !now_.best_values.empty()) restore_best();
    return now_.stopped ? run_outcome::stopped_early : run_outcome::finished;
  }

  /// The best evaluation so far; -infinity before the first.
  [[nodiscard]] double best_evaluation() const { return now_.best; }

  /// Writes all that `resume` needs, whole or not at all.
  void save(std::string const& path) const {
    write_checkpoint(path, identity(), std::span<parameter<value_type> const>(parameters_), now_,
                     beta_, reference_);
  }

  /// Continues from a checkpoint to the bits that an uninterrupted run would have reached.
  ///
  /// Errors  backend_error for a file that is damaged, or of another run or data set; nothing changes then
  void resume(std::string const& path) {
    read_checkpoint(path, identity(), std::span<parameter<value_type> const>(parameters_), now_,
                    beta_, reference_);
    order_.clear();
  }

 private:
  static constexpr std::size_t group_size = L::arity;  // 0: any
  // Whether a row's coefficient depends on other rows: through a statistic, or through who is put together with whom.
  static constexpr bool reads_whole_batch =
      !std::same_as<loss_state<L>, nothing> || detail::matches<L>;

  void check_options() {
    expects(options_.batch_size > 0, "trainer: batch_size must be at least 1");
    expects(options_.max_gradient_norm > 0.0,
            "trainer: max_gradient_norm must be greater than zero");
    L loss = loss_;
    detail::apply_beta(loss, beta_, 0);
    expects(data_.beta.empty() || !detail::is_scheduled<Beta>,
            "trainer: a beta schedule was given, but each row of the data has its own beta");
    expects(is_normalised(reference_) || !reads(loss_).contains(column_name::reference) ||
                probe_of(loss_).margin_only(),
            "trainer: this reference is not normalised: its log_prob is off by an unknown constant "
            "per prompt, which does not cancel in this loss; it does in losses that read only "
            "margins");
  }

  [[nodiscard]] checkpoint_identity identity() const {
    return {
        .run = run_fingerprint(options_, batch_.can_score && options_.allow_scores, loss_, beta_,
                               reference_, std::span<parameter<value_type> const>(parameters_)),
        .data = fingerprint_of(data_)};
  }

  void use(executor threads) {
    if constexpr (requires { policy_.use(threads); }) policy_.use(threads);
    if constexpr (requires { reference_.use(threads); }) reference_.use(threads);
  }

  void gather_next() {
    std::uint64_t const epoch = now_.step / steps_per_epoch();
    std::size_t const begin =
        static_cast<std::size_t>(now_.step % steps_per_epoch()) * options_.batch_size;
    if (order_.empty() || order_epoch_ != epoch) {
      order_ = permutation(data_.size(), options_.seed, epoch);
      order_epoch_ = epoch;
    }
    std::size_t const count = detail::at_most(options_.batch_size, data_.size() - begin);
    batch_.gather(data_, std::span<std::uint32_t const>(order_).subspan(begin, count), now_.step,
                  options_.seed);
  }

  void measure(step_report& report) {
    report.loss = batch_.mean_loss();
    if constexpr (group_size == 2) {
      pair_metrics const sums = batch_.rewards(loss_);
      report.reward_margin = sums.reward_margin.mean();
      report.accuracy = sums.accuracy.mean();
      if (batch_.has_log_probs()) {
        report.log_prob_chosen = sums.log_prob_chosen.mean();
        report.log_prob_rejected = sums.log_prob_rejected.mean();
      }
      if (auto const share = batch_.displaced_share()) report.displaced_share = *share;
    }
    if (options_.max_gradient_norm < std::numeric_limits<double>::infinity()) {
      report.gradient_norm = clip_gradient_norm(parameters_, options_.max_gradient_norm,
                                                norm_memory_, options_.threads);
      if (!std::isfinite(report.gradient_norm)) {
        detail::broken("trainer: at step " + std::to_string(now_.step + 1) +
                       " the gradient is not finite");
      }
    }
  }

  void one_pass() {
    for_each_micro_batch([&](std::size_t begin, std::size_t count) {
      batch_.score(loss_, begin, count);
      evaluate(begin, count, {});
      batch_.backward(begin, count);
    });
  }

  // A batch statistic needs every log-probability before the first coefficient. If the batch is scored in one
  // piece, and last, backward can follow at once; else each piece is scored again before its backward.
  void two_passes(loss_memory<L>& memory) {
    if constexpr (group_size == 1) {
      for_each_micro_batch(
          [&](std::size_t begin, std::size_t count) { batch_.score_mismatched(begin, count); });
    }
    for_each_micro_batch(
        [&](std::size_t begin, std::size_t count) { batch_.score(loss_, begin, count); });
    evaluate(0, batch_.size(), prepare(loss_, batch_.columns(0, batch_.size()), memory));
    bool const in_one_piece =
        options_.micro_batch_size == 0 || options_.micro_batch_size >= batch_.size();
    for_each_micro_batch([&](std::size_t begin, std::size_t count) {
      if (!in_one_piece) batch_.score_policy_again(loss_, begin, count);
      batch_.backward(begin, count);
    });
  }

  // One number that is not finite would spread to every parameter.
  void evaluate(std::size_t begin, std::size_t count, loss_state<L> const& state) {
    batch_.evaluate(loss_, begin, count, state, options_.threads);
    auto const bad = batch_.first_not_finite(begin, count);
    if (!bad) return;
    detail::broken("trainer: at step " + std::to_string(now_.step + 1) + " " + bad->what +
                   " of row " + std::to_string(batch_.row(bad->group)) + " is not finite");
  }

  template <class Work>
  void for_each_micro_batch(Work&& work) {
    std::size_t const size =
        options_.micro_batch_size == 0 ? batch_.size() : options_.micro_batch_size;
    for (std::size_t begin = 0; begin < batch_.size(); begin += size) {
      work(begin, detail::at_most(size, batch_.size() - begin));
    }
  }

  static void copy(std::span<value_type const> from, std::span<value_type> to) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i];
  }

  void clear_gradient() {
    if constexpr (requires { policy_.clear_gradient(); }) {
      policy_.clear_gradient();
    } else {
      for (auto const& each : parameters_) {
        for (value_type& g : each.gradient) g = 0;
      }
    }
  }

  // What earlier calls of backward have left behind, those of a step that failed included.
  void discard_gradient() {
    if constexpr (requires { policy_.finish_backward(); }) policy_.finish_backward();
    clear_gradient();
    for (auto const& each : parameters_) {
      for (value_type& g : each.gradient) g = 0;
    }
    gradient_is_clear_ = true;
  }

  void judge(double score, evaluation_plan const& plan) {
    if (score > now_.best + plan.min_improvement) {
      now_.best = score;
      now_.stale = 0;
      if (!plan.restore_best) return;
      now_.best_values.resize(parameters_.size());
      for (std::size_t i = 0; i < parameters_.size(); ++i) {
        now_.best_values[i].assign(parameters_[i].value.begin(), parameters_[i].value.end());
      }
    } else if (++now_.stale >= plan.patience && plan.patience != 0) {
      now_.stopped = true;
    }
  }

  void restore_best() {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      copy(now_.best_values[i], parameters_[i].value);
    }
  }

  P& policy_;
  L loss_;
  R& reference_;
  choice_data const& data_;
  train_options options_;
  Beta beta_;
  std::vector<parameter<value_type>> parameters_;
  training_progress<value_type, loss_memory<L>> now_;
  bool gradient_is_clear_ = false;

  // Working memory, kept from step to step.
  std::vector<std::uint32_t> order_;
  std::uint64_t order_epoch_ = 0;
  detail::scored_minibatch<P, L, R> batch_;
  gradient_norm_memory norm_memory_;
};

}  // namespace prefer
