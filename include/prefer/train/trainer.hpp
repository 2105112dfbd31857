// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/beta/schedule.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/identity.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/reference/reference.hpp>
#include <prefer/train/adamw.hpp>
#include <prefer/train/check_data.hpp>
#include <prefer/train/checkpoint.hpp>
#include <prefer/train/clip.hpp>
#include <prefer/train/example_source.hpp>
#include <prefer/train/micro_batches.hpp>
#include <prefer/train/options.hpp>
#include <prefer/train/run_fingerprint.hpp>
#include <prefer/train/scored_minibatch.hpp>
#include <prefer/train/scored_tokens.hpp>
#include <prefer/train/several_processes.hpp>
#include <prefer/train/step_report.hpp>

namespace prefer {

/// Trains a policy by preferences, one optimizer step at a time.
///
///   prefer::trainer training(policy, prefer::dpo{.beta = 0.1}, reference, data, {.batch_size = 256});
///   training.run([](prefer::step_report const& r) { std::printf("%g\n", r.loss); });
///
/// Examples come from a data set, in an order drawn from `options.seed`, or from an ExampleSource, which has a batch
/// size of its own:
///
///   prefer::trainer training(policy, loss, reference, source, options);
///
/// Policy, reference and data or source are borrowed and outlive the trainer; the data does not change meanwhile. While
/// the trainer lives, policy and reference run on its threads, and serially from then on. The same bits come out for any
/// number of threads, any micro-batches and any number of save and resume on the way. A step completes or leaves the
/// parameters as they were.
///
/// Several processes: each makes a trainer with its Communicator from an equal policy, reference and source, and calls the
/// same members in the same order. A batch is shared out; statistics, report and gradients are those of the whole. All have
/// the same bits after each step; runs of another number agree to rounding. Where one throws, all throw (`collectively`).
/// Rank 0 writes and reads checkpoints, from which any number of processes continues.
///
/// Errors  precondition_error for data that does not fit the loss, a loss or gradient that is not finite, a reference
///         that is not what it claims to be, processes that have begun differently; backend_error from checkpoints, and
///         for an error of another process
template <class P, Loss L, class R, class Beta = beta_of_the_loss, class Source = shuffled,
          Communicator Processes = single_process>
  requires Policy<P, choice_batch> && Reference<R, choice_batch> &&
           (std::same_as<Beta, beta_of_the_loss> || BetaRule<Beta>) &&
           ExampleSource<std::remove_reference_t<Source>>
class trainer {
 public:
  using value_type = typename P::value_type;
  using parameter_type = parameter_type_t<P>;

  trainer(P& policy, L loss, R& reference, choice_data const& data,
          train_options const& options = {}, Beta beta = {}, Processes processes = {})
    requires std::same_as<Source, shuffled>
      : trainer(given{}, policy, loss, reference, Source(data, options.batch_size, options.seed),
                options, beta, std::move(processes)) {}
  // clang-format off
  template <class Examples, class... More>
  trainer(P const&, L, R const&, Examples const&, More const&...) = delete;  // prefer: policy and reference are borrowed and change: neither is const, neither is a temporary
  trainer(P&, L, R&, choice_data const&&, train_options const& = {}, Beta = {}, Processes = {}) = delete;  // prefer: the data outlives the trainer; give it a name
  // clang-format on
  trainer(P& policy, L loss, R& reference, Source source, train_options const& options = {},
          Beta beta = {}, Processes processes = {})
    requires std::is_reference_v<Source>
      : trainer(given{}, policy, loss, reference, source, options, beta, std::move(processes)) {}
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
  [[nodiscard]] std::uint64_t steps_per_epoch() const { return source_.steps_per_epoch(); }
  [[nodiscard]] bool done() const { return now_.step >= steps_planned() || now_.stopped; }
  [[nodiscard]] L const& loss() const { return loss_; }

  /// One optimizer step on the next batch.
  step_report step() {
    step_report report;
    detail::no_callback on_part;
    take_step(report, on_part);
    return report;
  }

  /// Steps until the plan is done. `on_step(report)` may return false to interrupt. `on_part(part_report)` is called
  /// after each micro-batch and may return false to interrupt too: the step is then not taken.
  template <class OnStep = detail::no_callback, class OnPart = detail::no_callback>
  run_outcome run(OnStep&& on_step = {}, OnPart&& on_part = {}) {
    auto const no_evaluation = [](P&) { return 0.0; };
    return run(on_step, {}, no_evaluation, on_part);
  }

  /// The same with an evaluation every `plan.every` steps: `evaluate(policy)` returns a number, the higher
  /// the better; after `plan.patience` of them without improvement the run stops. Of several processes each
  /// evaluates and is asked, the first's number counts, and one that interrupts interrupts all.
  template <class OnStep, class Evaluate, class OnPart = detail::no_callback>
  run_outcome run(OnStep&& on_step, evaluation_plan const& plan, Evaluate&& evaluate,
                  OnPart&& on_part = {}) {
    while (!done()) {
      step_report report;
      if (!take_step(report, on_part)) return run_outcome::interrupted;
      double interruptions[] = {0.0};
      watched_.run([&](auto const& all) {
        if (plan.every != 0 && (now_.step % plan.every == 0 || done())) {
          double score[] = {static_cast<double>(evaluate(policy_))};
          broadcast(std::span(score), 0, all);
          now_.judge(score[0], plan, parameters());
        }
        if (!detail::goes_on(on_step, report)) interruptions[0] = 1.0;
        all.all_sum(interruptions);
      });
      if (interruptions[0] != 0.0) return run_outcome::interrupted;
    }
    if (plan.restore_best && now_.restore_best(parameters())) moved();
    return now_.stopped ? run_outcome::stopped_early : run_outcome::finished;
  }

  /// The best evaluation so far; -infinity before the first.
  [[nodiscard]] double best_evaluation() const { return now_.best; }

  /// Writes all that `resume` needs, whole or not at all. When it returns, the file is there for all processes that
  /// see the disk of the first.
  void save(std::string const& path) const {
    watched_.run([&](auto const& all) {
      if (all.rank() != 0) return;
      write_checkpoint(path, identity(), parameters(), now_, beta_, reference_);
    });
  }

  /// Continues from a checkpoint to the bits that an uninterrupted run would have reached.
  ///
  /// Errors  backend_error for a file that is damaged, or of another run or data set; nothing changes then
  void resume(std::string const& path) {
    watched_.run([&](auto const& all) {
      archive const file = archive::parse(detail::read_for_all(path, all), path);
      read_checkpoint(file, identity(), parameters(), now_, beta_, reference_);
      moved();
    });
  }

 private:
  static constexpr std::size_t group_size = L::arity;  // 0: any
  // Whether all examples are known from the beginning, so that they are checked once.
  static constexpr bool has_data = requires(std::remove_reference_t<Source> const& source) {
    { source.data() } -> std::convertible_to<choice_data const&>;
  };
  static constexpr bool several = !std::same_as<Processes, single_process>;
  // Whether a row's coefficient depends on other rows: through a statistic, or through who is put together with whom.
  static constexpr bool reads_whole_batch =
      !std::same_as<loss_state<L>, nothing> || detail::matches<L>;

  using scored_batch = std::conditional_t<is_over_tokens<L>, detail::scored_tokens<P, L, R>,
                                          detail::scored_minibatch<P, L, R>>;

  struct given {};
  trainer(given, P& policy, L loss, R& reference, Source source, train_options const& options,
          Beta beta, Processes processes)
      : policy_(policy),
        loss_(loss),
        reference_(reference),
        source_(std::forward<Source>(source)),
        options_(options),
        beta_(beta),
        processes_(std::move(processes)),
        parameters_(policy.parameters()),
        now_{.optimizer = adamw<parameter_type>(options.optimizer)},
        batch_(policy, reference, reads(loss).contains(column_name::reference),
               options.allow_scores) {
    watched_.run([&](auto const& all) {
      check_options();
      if constexpr (has_data) {
        check_data(loss_, source_.data());
        check_lengths(loss_, policy_, source_.data());
        check_completions(policy_, source_.data());
      }
      // At once, because texts that are sampled may be added to what an identity stands for.
      if constexpr (detail::identified<P>) base_ = identity_of_base(policy_);
      if constexpr (detail::identified<R>) held_near_ = identity_of_reference(reference_);
      use(options_.threads);
      discard_gradient();
      if constexpr (several) detail::expect_equal_starts(identity(), parameters(), all);
    });
  }

  void check_options() {
    expects(options_.max_gradient_norm > 0.0,
            "trainer: max_gradient_norm must be greater than zero");
    L loss = loss_;
    detail::apply_beta(loss, beta_, 0);
    expects_parameters_in_range(loss);
    if constexpr (has_data) expects_one_beta(source_.data());
    expects_shapes(parameters(), "trainer");
    expects(is_normalised(reference_) || !reads(loss_).contains(column_name::reference) ||
                probe_of(loss_).margin_only(),
            "trainer: this reference is not normalised: its log_prob is off by an unknown constant "
            "per prompt, which does not cancel in this loss; it does in losses that read only "
            "margins");
  }
  static void expects_one_beta(choice_data const& examples) {
    expects(examples.beta.empty() || !detail::is_scheduled<Beta>,
            "trainer: a beta schedule was given, but each row of the data has its own beta");
  }

  [[nodiscard]] std::span<parameter<parameter_type> const> parameters() const {
    return parameters_;
  }

  // Computed when it is first asked for, because it may take in every number of a large model.
  [[nodiscard]] checkpoint_identity const& identity() const {
    if (!identity_) {
      identity_ = {.run = run_fingerprint(options_, batch_.can_score && options_.allow_scores,
                                          loss_, beta_, parameters()),
                   .data = static_cast<std::uint64_t>(source_.identity()),
                   .reference = held_near_ ? *held_near_ : identity_of_reference(reference_),
                   .base = base_ ? *base_ : identity_of_base(policy_)};
    }
    return *identity_;
  }

  void use(executor threads) {
    if constexpr (requires { policy_.use(threads); }) policy_.use(threads);
    if constexpr (requires { reference_.use(threads); }) reference_.use(threads);
  }
  // Whether the step was taken, and not interrupted.
  template <class OnPart>
  bool take_step(step_report& report, OnPart& on_part) {
    bool taken = false;
    watched_.run([&](auto const& all) { taken = step_with(all, report, on_part); });
    return taken;
  }

  template <class OnPart>
  bool step_with(auto const& all, step_report& report, OnPart& on_part) {
    if (!gradient_is_clear_) discard_gradient();
    gather_next(all);
    detail::apply_beta(loss_, beta_, now_.step);
    report = {.step = now_.step + 1,
              .steps = steps_planned(),
              .learning_rate = options_.rate(now_.step),
              .beta = beta_of(loss_)};
    if (now_.step == 0 && options_.reference_is_start) {
      for (std::size_t i = 0; i < parts_.size(); ++i) {
        expect_initial_reference(policy_, reference_,
                                 batch_.groups(parts_.begin(i), parts_.count(i)));
      }
    }
    if (batch_.examples() == 0) {
      report.loss = std::numeric_limits<double>::quiet_NaN();
    } else if (!learn(report, all, on_part)) {
      return false;
    }
    ++now_.step;
    if constexpr (requires { beta_.observe(policy_, reference_, now_.step); }) {
      static_assert(detail::has_beta_state<Beta>,
                    "prefer: a beta rule that observes has identity(), save and load");
      beta_.observe(policy_, reference_, now_.step);
    }
    if constexpr (requires { reference_.after_step(policy_, now_.step); }) {
      reference_.after_step(policy_, now_.step);
    }
    return true;
  }

  // Moves the parameters, unless `on_part` interrupts.
  template <class OnPart>
  bool learn(step_report& report, auto const& all, OnPart& on_part) {
    detail::passage through(parts_, on_part, report.step);
    // Until the optimizer has moved the parameters, an exception leaves all but gradients as it was, and those are
    // discarded before the next step.
    gradient_is_clear_ = false;
    loss_memory<L> memory = now_.memory;
    if constexpr (reads_whole_batch) {
      if (!two_passes(memory, all, through)) return false;
    } else {
      if (!one_pass(all, through)) return false;
    }
    if constexpr (requires { policy_.finish_backward(); }) policy_.finish_backward();
    sum_gradients(parameters(), all, gradient_room_);
    measure(report, all);
    if constexpr (several) all.agree();  // from here on a step completes
    now_.optimizer.step(parameters_, report.learning_rate, options_.threads);
    moved();
    now_.memory = memory;
    clear_gradient();
    gradient_is_clear_ = true;
    return true;
  }

  void gather_next(auto const& all) {
    batch_.gather(source_, now_.step, {.rank = all.rank(), .size = all.size()}, options_.seed);
    if constexpr (!has_data) {
      check_examples(loss_, batch_.data());
      check_lengths(loss_, policy_, batch_.data());
      expects_one_beta(batch_.data());
    }
    double examples[] = {static_cast<double>(batch_.own_examples())};
    all.all_sum(examples);
    batch_.be_part_of(static_cast<std::size_t>(examples[0]));
    parts_.cut(policy_, batch_.groups(0, batch_.size()), options_);
  }

  void measure(step_report& report, auto const& all) {
    detail::reported_mean means[6] = {{batch_.loss(), &report.loss}};
    if constexpr (group_size == 2) {
      pair_metrics const sums = batch_.rewards(loss_);
      means[1] = {sums.reward_margin, &report.reward_margin};
      means[2] = {sums.accuracy, &report.accuracy};
      if (batch_.has_log_probs()) {
        means[3] = {sums.log_prob_chosen, &report.log_prob_chosen};
        means[4] = {sums.log_prob_rejected, &report.log_prob_rejected};
      }
      means[5] = {batch_.displaced_share(), &report.displaced_share};
    }
    detail::report_means(means, all);
    if (options_.max_gradient_norm == std::numeric_limits<double>::infinity()) return;
    report.gradient_norm =
        clip_gradient_norm(parameters_, options_.max_gradient_norm, norm_memory_, options_.threads);
    if (std::isfinite(report.gradient_norm)) return;
    detail::broken("trainer: at step " + std::to_string(report.step) +
                   " the gradient is not finite");
  }

  bool one_pass(auto const& all, auto& through) {
    through.announce(batch_.size());
    through([&](std::size_t begin, std::size_t count) {
      batch_.score(loss_, begin, count);
      evaluate(begin, count, {});
      batch_.backward(begin, count);
    });
    return through.uninterrupted(all);
  }

  // A batch statistic needs every log-probability before the first coefficient. In one piece, and scored last, backward
  // can follow at once; else each piece is scored again before its backward.
  bool two_passes(loss_memory<L>& memory, auto const& all, auto& through) {
    bool const has_others = group_size == 1 && batch_.has_kl_examples();
    through.announce(batch_.size() * (has_others ? 3 : 2));
    if constexpr (group_size == 1) {
      auto const score_others = [&](auto... groups) { batch_.score_kl_examples(groups...); };
      if (has_others) through(score_others);
    }
    through([&](std::size_t begin, std::size_t count) { batch_.score(loss_, begin, count); });
    if (!through.uninterrupted(all)) return false;
    auto const state = prepare(loss_, batch_.columns(0, batch_.size()), memory, all);
    if constexpr (several && detail::matches<L>) {
      batch_.evaluate_gathered(loss_, state, options_.threads, all);
      expect_finite(0, batch_.size());
    } else {
      evaluate(0, batch_.size(), state);
    }
    through([&](std::size_t begin, std::size_t count) {
      if (parts_.size() > 1) batch_.score_policy_again(begin, count);
      batch_.backward(begin, count);
    });
    return through.uninterrupted(all);
  }

  void evaluate(std::size_t begin, std::size_t count, loss_state<L> const& state) {
    if (count == 0) return;
    batch_.evaluate(loss_, begin, count, state, options_.threads);
    expect_finite(begin, count);
  }

  // One number that is not finite would spread to every parameter.
  void expect_finite(std::size_t begin, std::size_t count) const {
    auto const bad = batch_.first_not_finite(begin, count);
    if (!bad) return;
    detail::broken("trainer: at step " + std::to_string(now_.step + 1) + " " + bad->what +
                   " of row " + std::to_string(batch_.row(bad->group)) + " is not finite");
  }

  void moved() {
    if constexpr (requires { policy_.parameters_moved(); }) policy_.parameters_moved();
  }

  void clear_gradient() {
    // With several processes a gradient holds what others' backward has written.
    if constexpr (!several && requires { policy_.clear_gradient(); }) {
      policy_.clear_gradient();
    } else {
      zero_gradients(parameters());
    }
  }

  // What earlier calls of backward have left behind, those of a step that failed included.
  void discard_gradient() {
    if constexpr (requires { policy_.finish_backward(); }) policy_.finish_backward();
    if constexpr (requires { policy_.clear_gradient(); }) policy_.clear_gradient();
    zero_gradients(parameters());
    gradient_is_clear_ = true;
  }

  P& policy_;
  L loss_;
  R& reference_;
  Source source_;
  train_options options_;
  Beta beta_;
  Processes processes_;
  watched_processes<Processes> watched_{processes_, "trainer"};
  std::vector<parameter<parameter_type>> parameters_;
  training_progress<parameter_type, loss_memory<L>> now_;
  std::optional<std::uint64_t> base_;
  std::optional<std::uint64_t> held_near_;
  mutable std::optional<checkpoint_identity> identity_;
  bool gradient_is_clear_ = false;

  // Working memory, kept from step to step.
  scored_batch batch_;
  detail::micro_batches parts_;
  gradient_norm_memory norm_memory_;
  std::vector<parameter_type> gradient_room_;
};

template <class P, Loss L, class R, ExampleSource S, class Beta = beta_of_the_loss,
          Communicator Processes = single_process>
trainer(P&, L, R&, S&, train_options const& = {}, Beta = {}, Processes = {})
    -> trainer<P, L, R, Beta, S&, Processes>;

}  // namespace prefer
