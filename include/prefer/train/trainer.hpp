// SPDX-License-Identifier: MIT
#pragma once

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
#include <prefer/bounded.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/identity.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/reference/reference.hpp>
#include <prefer/train/adamw.hpp>
#include <prefer/train/batch_passes.hpp>
#include <prefer/train/check_data.hpp>
#include <prefer/train/checkpoint.hpp>
#include <prefer/train/example_source.hpp>
#include <prefer/train/micro_batches.hpp>
#include <prefer/train/options.hpp>
#include <prefer/train/policy_gradient.hpp>
#include <prefer/train/run_fingerprint.hpp>
#include <prefer/train/several_processes.hpp>
#include <prefer/train/step_report.hpp>

namespace prefer::inline v0_1 {

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
/// the same bits after each step; runs of another number agree to rounding. Of a ShareCommunicator each moves a share of
/// the parameters and holds the optimizer's state of that alone. Where one throws, all throw (`collectively`).
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
    check_plan(plan);
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
    if (plan.restore_best && now_.restore_best(parameters())) gradient_.parameters_moved();
    return now_.stopped ? run_outcome::stopped_early : run_outcome::finished;
  }

  /// The best evaluation so far; -infinity before the first.
  [[nodiscard]] double best_evaluation() const { return now_.best; }

  /// Writes all that `resume` needs, whole or not at all. When it returns, the file is there for all processes that
  /// see the disk of the first.
  void save(std::string const& path) const {
    watched_.run([&](auto const& all) {
      // Where processes share the optimizer out, one writes and the others give it theirs.
      if (all.rank() != 0) return gradient_.save(now_.optimizer, nullptr, "", all);
      write_checkpoint(path, identity(), parameters(), now_, beta_, reference_,
                       [&](archive_writer& file, std::string const& prefix) {
                         gradient_.save(now_.optimizer, &file, prefix, all);
                         if constexpr (source_has_state) source_.save(file);
                       });
    });
  }

  /// Continues from a checkpoint to the bits that an uninterrupted run would have reached.
  ///
  /// Errors  backend_error for a file that is damaged, or of another run or data set; nothing changes then
  void resume(std::string const& path) {
    watched_.run([&](auto const& all) {
      archive const file = archive::parse(detail::read_for_all(path, all), path);
      auto of_source = detail::saved_state_of(source_);
      read_checkpoint(file, identity(), parameters(), now_, beta_, reference_,
                      [&](auto& optimizer, archive const& from, std::string const& prefix) {
                        gradient_.load(optimizer, from, prefix);
                        if constexpr (source_has_state) of_source = source_.state_in(from);
                      });
      if constexpr (source_has_state) source_.resume(std::move(of_source));
      gradient_.parameters_moved();
    });
  }

 private:
  // All examples, where they are known from the beginning, so that they are checked once.
  static constexpr bool always_has_data = detail::has_data<std::remove_reference_t<Source>>;
  [[nodiscard]] choice_data const* known() const { return detail::data_of(source_); }
  static constexpr bool source_has_state = detail::has_state<std::remove_reference_t<Source>>;
  static constexpr bool several = !std::same_as<Processes, single_process>;

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
        now_{.optimizer = adamw<parameter_type>(options.optimizer)},
        gradient_(policy),
        passes_(policy, reference, reads(loss).contains(column_name::reference), options_) {
    watched_.run([&](auto const& all) {
      gradient_.freeze(options_.optimizer);
      gradient_.share_out(processes_);
      check_options();
      if (auto const* const data = known()) {
        check_data(loss_, *data);
        check_lengths(loss_, policy_, *data);
        check_completions(policy_, *data);
      }
      // At once, because texts that are sampled may be added to what an identity stands for, and what judges them may move.
      if constexpr (detail::identified<P>) base_ = identity_of_base(policy_);
      if constexpr (detail::identified<R>) held_near_ = identity_of_reference(reference_);
      if (known() == nullptr) drawn_from_ = static_cast<std::uint64_t>(source_.identity());
      use(options_.threads);
      gradient_.discard();
      if constexpr (several) detail::expect_equal_starts(identity(), parameters(), all);
    });
  }

  static void check_plan(evaluation_plan const& plan) {
    expects_in_range(plan.min_improvement, "trainer", "min_improvement");
    expects(plan.every > 0 || (plan.patience == 0 && !plan.restore_best),
            "trainer: patience and restore_best are about evaluations, and every is 0: there are "
            "none");
  }

  void check_options() {
    expects(options_.max_gradient_norm > 0.0,
            "trainer: max_gradient_norm must be greater than zero");
    expects(options_.skip_settled >= 0.0 && options_.skip_settled < 1.0,
            "trainer: skip_settled must be at least 0 and below 1");
    L loss = loss_;
    detail::apply_beta(loss, beta_, 0);
    expects_hyper_parameters_in_range(loss);
    if (auto const* const data = known()) expects_one_beta(*data);
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
    return gradient_.parameters();
  }

  // Computed when it is first asked for, because it may take in every number of a large model.
  [[nodiscard]] checkpoint_identity const& identity() const {
    if (!identity_) {
      identity_ = {
          .run = run_fingerprint(options_, passes_.takes_logits && options_.allow_logits, loss_,
                                 beta_, parameters()),
          .data = drawn_from_ ? *drawn_from_ : static_cast<std::uint64_t>(source_.identity()),
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
    gradient_.make_clear();
    gather_next(all);
    detail::apply_beta(loss_, beta_, now_.step);
    report = {.step = now_.step + 1,
              .steps = steps_planned(),
              .learning_rate = options_.rate(now_.step),
              .beta = beta_of(loss_)};
    if (now_.step == 0 && options_.reference_is_start) passes_.expect_start(policy_, reference_);
    if (passes_.examples() == 0) {
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
    if constexpr (requires { source_.after_step(now_.step, all); }) {
      source_.after_step(now_.step, all);
    }
    return true;
  }

  // Moves the parameters, unless `on_part` interrupts.
  template <class OnPart>
  bool learn(step_report& report, auto const& all, OnPart& on_part) {
    // Until the optimizer has moved the parameters, an exception leaves all but gradients as it was, and those are
    // discarded before the next step.
    gradient_.begin();
    loss_memory<L> memory = now_.memory;
    if (!passes_.run(loss_, memory, all, on_part)) return false;
    gradient_.complete(all);
    passes_.measure(loss_, report, all);
    report.gradient_norm = gradient_.clip(options_, report.step, all);
    gradient_.move(now_.optimizer, report.learning_rate, options_.threads, all);
    now_.memory = memory;
    gradient_.clear(options_.threads);
    return true;
  }

  void gather_next(auto const& all) {
    passes_.gather(source_, now_.step, all);
    if constexpr (!always_has_data) {
      if (known() == nullptr) {
        check_examples(loss_, passes_.data(), passes_.beside());
        check_lengths(loss_, policy_, passes_.data());
        expects_one_beta(passes_.data());
      }
    }
    passes_.cut(policy_, all);
  }

  P& policy_;
  L loss_;
  R& reference_;
  Source source_;
  train_options options_;
  Beta beta_;
  Processes processes_;
  watched_processes<Processes> watched_{processes_, "trainer"};
  training_progress<parameter_type, loss_memory<L>> now_;
  std::optional<std::uint64_t> base_;
  std::optional<std::uint64_t> held_near_;
  std::optional<std::uint64_t> drawn_from_;  // where examples are not known before
  mutable std::optional<checkpoint_identity> identity_;
  detail::policy_gradient<P, Processes> gradient_;
  detail::batch_passes<P, L, R, several> passes_;
};

template <class P, Loss L, class R, ExampleSource S, class Beta = beta_of_the_loss,
          Communicator Processes = single_process>
trainer(P&, L, R&, S&, train_options const& = {}, Beta = {}, Processes = {})
    -> trainer<P, L, R, Beta, S&, Processes>;

}  // namespace prefer::inline v0_1
