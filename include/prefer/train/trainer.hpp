// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/minibatch.hpp>
#include <prefer/beta/schedule.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/policy/token_policy.hpp>
#include <prefer/random/order.hpp>
#include <prefer/reference/reference.hpp>
#include <prefer/train/adamw.hpp>
#include <prefer/train/clip.hpp>
#include <prefer/train/learning_rate.hpp>
#include <prefer/train/scored_minibatch.hpp>

namespace prefer {

/// How to train. Sizes count groups: pairs, labelled examples or lists.
struct train_options {
  std::size_t batch_size = 64;
  std::size_t micro_batch_size =
      0;  ///< groups scored at a time; 0: the whole batch. Does not change results
  std::uint64_t epochs = 1;
  std::uint64_t steps = 0;  ///< if not 0, stop after so many steps, whatever the epochs
  std::uint64_t seed = 1;   ///< of the order of examples
  learning_rate rate = 1e-3;
  adamw_options optimizer = {};
  double max_gradient_norm = std::numeric_limits<double>::infinity();  ///< infinite: not measured
  bool reference_is_start = false;  ///< check at step 0 that the log-ratios are 0
  bool allow_scores = true;         ///< use unnormalised scores where the loss reads only margins
  executor threads = {};
};

/// What one step did. Numbers that do not apply are NaN.
struct step_report {
  std::uint64_t step = 0;   ///< counted from 1
  std::uint64_t steps = 0;  ///< that the run will have
  double loss = 0.0;        ///< mean over the batch, before the step
  double learning_rate = 0.0;
  double beta = 0.0;
  double gradient_norm = std::numeric_limits<double>::quiet_NaN();  ///< before clipping
  double reward_margin = std::numeric_limits<double>::quiet_NaN();  ///< mean over pairs, nats
  double accuracy = std::numeric_limits<double>::quiet_NaN();  ///< share of pairs with margin > 0
  // Of pairs, where log-probabilities were computed and not scores (see allow_scores);
  // per token where rewards are.
  double log_prob_chosen = std::numeric_limits<double>::quiet_NaN();    ///< mean, nats
  double log_prob_rejected = std::numeric_limits<double>::quiet_NaN();  ///< mean, nats
  double displaced_share =
      std::numeric_limits<double>::quiet_NaN();  ///< share of chosen below the reference
};

/// When to evaluate and when to stop for it.
struct evaluation_plan {
  std::uint64_t every = 0;     ///< steps; 0: never
  std::uint64_t patience = 0;  ///< evaluations without improvement before stopping; 0: never stop
  double min_improvement = 0.0;
  bool restore_best = false;  ///< end with the parameters of the best evaluation
};

/// Why a run ended.
enum class run_outcome : std::uint8_t { finished, stopped_early, interrupted };

namespace detail {

/// What a loss computes: its values on a few fixed examples. Tells apart losses without a name, and
/// lambdas with other constants. As float, so that the last bits of a C library do not count.
template <Loss L>
[[nodiscard]] std::uint64_t fingerprint_of_formula(L const& loss) {
  constexpr double policy[] = {-1.5, -3.25, -7.0, -2.0, -4.5, -0.5, -6.25, -5.0};
  constexpr double reference[] = {-2.0, -3.0, -5.5, -2.75, -4.0, -1.25, -6.5, -3.5};
  constexpr double length[] = {2, 3, 5, 1, 4, 2, 7, 6};
  constexpr double label[] = {1, 0, 0, 1, 1, 0, 1, 0};
  constexpr double score[] = {0.75, 0.9, 0.5, 1.0, 0.25, 0.1, 0.4, 0.3};
  constexpr double small[] = {-0.25, -0.5, 0.125, -1.0, -0.75, 0.0625, -0.375, -0.625};
  double value[8] = {};
  std::size_t count = 0;
  if constexpr (L::arity == 1) {
    count = 8;
    unpaired_columns const examples{
        .policy = policy, .reference = reference, .label = label, .length = length, .score = score};
    evaluate_into(loss, examples, {.value = value}, loss_state<L>{});
  } else if constexpr (L::arity == 2) {
    count = 4;
    auto const halves = [](auto const& numbers) {
      return completions{.chosen = std::span(numbers).template first<4>(),
                         .rejected = std::span(numbers).template last<4>()};
    };
    evaluate_into(loss,
                  pair_columns{.policy = halves(policy),
                               .reference = halves(reference),
                               .length = halves(length),
                               .score = halves(score),
                               .divergence = halves(small),
                               .alignment = halves(small),
                               .perturbed_toward = halves(policy),
                               .perturbed_away = halves(reference),
                               .chosen_from_reference = std::span(label).template first<4>(),
                               .uniform = std::span(score).template last<4>()},
                  {.value = std::span(value).first(count)}, loss_state<L>{});
  } else {
    count = 2;
    // Lists of three and five; of what the loss takes where it takes no other size.
    constexpr std::size_t size = list_size_of<L>();
    constexpr std::size_t offset[] = {0, size == 0 ? 3 : size, size == 0 ? 8 : 2 * size};
    auto const all = [&](auto const& numbers) { return std::span(numbers).first(offset[2]); };
    list_columns const lists{.policy = all(policy),
                             .reference = all(reference),
                             .length = all(length),
                             .score = all(score),
                             .offset = offset};
    evaluate_into(loss, lists, {.value = std::span(value).first(count)}, loss_state<L>{});
  }
  fingerprint identity;
  for (std::size_t i = 0; i < count; ++i) {
    identity.add(std::isnan(value[i]) ? std::numeric_limits<float>::quiet_NaN()
                                      : static_cast<float>(value[i]));
  }
  return identity.value();
}

}  // namespace detail

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
        optimizer_(options.optimizer),
        parameters_(policy.parameters()),
        batch_(policy, reference, reads(loss).contains(column_name::reference),
               options.allow_scores) {
    check_options();
    check_data();
    use(options_.threads);
    discard_gradient();
  }
  // clang-format off
  trainer(P&, L, R&, choice_data const&&, train_options const& = {}, Beta = {}) = delete;  // prefer: the data outlives the trainer; give it a name
  // clang-format on
  trainer(trainer const&) = delete;
  trainer& operator=(trainer const&) = delete;
  ~trainer() { use({}); }

  [[nodiscard]] std::uint64_t steps_done() const { return step_; }
  [[nodiscard]] std::uint64_t steps_planned() const {
    if (options_.steps != 0) return options_.steps;
    constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t const each = steps_per_epoch();
    return options_.epochs > most / each ? most : options_.epochs * each;
  }
  [[nodiscard]] std::uint64_t steps_per_epoch() const {
    return data_.size() / options_.batch_size + (data_.size() % options_.batch_size != 0 ? 1 : 0);
  }
  [[nodiscard]] bool done() const { return step_ >= steps_planned() || stopped_; }
  [[nodiscard]] L const& loss() const { return loss_; }

  /// One optimizer step on the next batch.
  step_report step() {
    if (!gradient_is_clear_) discard_gradient();
    gather_next();
    apply_beta(loss_, step_);
    if (step_ == 0 && options_.reference_is_start) {
      expect_initial_reference(policy_, reference_, batch_.whole());
    }
    step_report report{.step = step_ + 1,
                       .steps = steps_planned(),
                       .learning_rate = options_.rate(step_),
                       .beta = beta_of(loss_)};
    // Until the optimizer has moved the parameters, an exception leaves all but gradients as it was, and
    // those are discarded before the next step.
    gradient_is_clear_ = false;
    loss_memory<L> memory = memory_;
    if constexpr (reads_whole_batch) {
      two_passes(memory);
    } else {
      one_pass();
    }
    if constexpr (requires { policy_.finish_backward(); }) policy_.finish_backward();
    measure(report);
    optimizer_.step(parameters_, report.learning_rate, options_.threads);
    memory_ = memory;
    ++step_;
    clear_gradient();
    gradient_is_clear_ = true;
    if constexpr (requires { beta_.observe(policy_, reference_, step_); }) {
      static_assert(beta_has_state,
                    "prefer: a beta rule that observes has identity(), save and load");
      beta_.observe(policy_, reference_, step_);
    }
    if constexpr (requires { reference_.after_step(policy_, step_); }) {
      reference_.after_step(policy_, step_);
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
      if (plan.every != 0 && (step_ % plan.every == 0 || done())) {
        judge(static_cast<double>(evaluate(policy_)), plan);
      }
      if constexpr (std::convertible_to<decltype(on_step(report)), bool>) {
        if (!on_step(report)) return run_outcome::interrupted;
      } else {
        on_step(report);
      }
    }
    if (plan.restore_best && !best_values_.empty()) restore_best();
    return stopped_ ? run_outcome::stopped_early : run_outcome::finished;
  }

  /// The best evaluation so far; -infinity before the first.
  [[nodiscard]] double best_evaluation() const { return best_; }

  /// Writes all that `resume` needs, whole or not at all.
  void save(std::string const& path) const {
    static_assert(std::is_trivially_copyable_v<loss_memory<L>>);
    archive_writer file;
    file.add("format", "prefer trainer 1");
    file.add("run", run_fingerprint());
    file.add("data", fingerprint_of(data_));
    file.add("step", step_);
    file.add("stopped", std::uint64_t{stopped_ ? 1u : 0u});
    file.add("best", best_);
    file.add("stale", stale_);
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      file.add("value/" + std::string(parameters_[i].name), parameters_[i].value);
      if (!best_values_.empty()) {
        file.add("best/" + std::string(parameters_[i].name), best_values_[i]);
      }
    }
    optimizer_.save(file, "optimizer/");
    file.add("memory", std::string_view(reinterpret_cast<char const*>(&memory_), sizeof memory_));
    if constexpr (requires { beta_.save(file); }) beta_.save(file);
    if constexpr (requires { reference_.save(file); }) reference_.save(file);
    file.write(path);
  }

  /// Continues from a checkpoint to the bits that an uninterrupted run would have reached.
  ///
  /// Errors  backend_error for a file that is damaged, or of another run or data set; nothing changes then
  void resume(std::string const& path) {
    static_assert(std::is_trivially_copyable_v<loss_memory<L>>);
    archive const file = archive::read(path);
    if (!file.contains("format") || file.text("format") != "prefer trainer 1") {
      detail::fail(backend_error("resume", path, "this file is not a trainer's checkpoint"));
    }
    if (file.number<std::uint64_t>("data") != fingerprint_of(data_)) {
      detail::fail(backend_error("resume", path, "this checkpoint belongs to another data set"));
    }
    if (file.number<std::uint64_t>("run") != run_fingerprint()) {
      detail::fail(
          backend_error("resume", path,
                        "this checkpoint was made with another loss, reference, seed, batch size, "
                        "learning rate or optimizer"));
    }
    std::string const memory = file.text("memory");
    if (memory.size() != sizeof memory_) {
      detail::fail(backend_error("resume", path, "the loss's memory has another size"));
    }
    // Everything is read before anything is replaced; the reference comes last because only it replaces as
    // it reads. A beta rule with a state is tried on a copy first.
    bool const has_best =
        !parameters_.empty() && file.contains("best/" + std::string(parameters_[0].name));
    std::vector<std::vector<value_type>> values;
    std::vector<std::vector<value_type>> best_values;
    for (auto const& each : parameters_) {
      std::string const name(each.name);
      values.emplace_back(each.value.size());
      file.copy_to("value/" + name, std::span<value_type>(values.back()));
      if (!has_best) continue;
      best_values.emplace_back(each.value.size());
      file.copy_to("best/" + name, std::span<value_type>(best_values.back()));
    }
    auto const step = file.number<std::uint64_t>("step");
    auto const stopped = file.number<std::uint64_t>("stopped");
    auto const best = file.number<double>("best");
    auto const stale = file.number<std::uint64_t>("stale");
    adamw<value_type> optimizer(options_.optimizer);
    optimizer.load(file, parameters_, "optimizer/");
    if constexpr (requires { beta_.load(file); }) Beta(beta_).load(file);
    if constexpr (requires { reference_.load(file); }) reference_.load(file);
    if constexpr (requires { beta_.load(file); }) beta_.load(file);

    optimizer_ = static_cast<adamw<value_type>&&>(optimizer);
    step_ = step;
    stopped_ = stopped != 0;
    best_ = best;
    stale_ = stale;
    std::memcpy(&memory_, memory.data(), sizeof memory_);
    for (std::size_t i = 0; i < values.size(); ++i) {
      copy(values[i], parameters_[i].value);
    }
    best_values_.swap(best_values);
    order_.clear();
  }

 private:
  static constexpr std::size_t group_size = L::arity;  // 0: any
  // Whether a row's coefficient depends on other rows: through a statistic, or through who is put together with whom.
  static constexpr bool reads_whole_batch =
      !std::same_as<loss_state<L>, nothing> || detail::matches<L>;
  static constexpr bool beta_has_state = requires(Beta const& beta) {
    { beta.identity() } -> std::convertible_to<std::uint64_t>;
  };

  void check_options() {
    expects(options_.batch_size > 0, "trainer: batch_size must be at least 1");
    expects(options_.max_gradient_norm > 0.0,
            "trainer: max_gradient_norm must be greater than zero");
    L loss = loss_;
    apply_beta(loss, 0);
  }

  void check_data() const {
    expects(data_.size() > 0, "trainer: the data set is empty");
    data_.expects_shapes("trainer");
    std::string const row = "trainer: row ";
    for (std::size_t g = 0; g < data_.size(); ++g) {
      std::size_t const count = data_.offset[g + 1] - data_.offset[g];
      if (group_size != dynamic_arity ? count != group_size : count == 0) {
        detail::broken(row + std::to_string(g) + " has " + std::to_string(count) +
                       " completions; this loss takes " +
                       (group_size != dynamic_arity ? std::to_string(group_size) : "at least 1"));
      }
    }
    column_set const read = reads(loss_);
    if (read.contains(column_name::label)) {
      expects_size(data_.label.size(), data_.size(), "trainer", "label");
    }
    expects(is_normalised(reference_) || !reads(loss_).contains(column_name::reference) ||
                probe_of(loss_).margin_only(),
            "trainer: this reference is not normalised: its log_prob is off by an unknown constant "
            "per prompt, which does not cancel in this loss; it does in losses that read only "
            "margins");
    if (read.contains(column_name::length) && data_.length.empty()) {
      detail::broken(
          "trainer: this loss reads completion lengths; fill length in the data, with 1 where a "
          "completion is one choice");
    }
    check_column(data_.score, column_name::score, "score");
    check_column(data_.chosen_from_reference, column_name::chosen_from_reference,
                 "chosen_from_reference");
    if constexpr (detail::list_size_of<L>() != 0) {
      for (std::size_t g = 0; g < data_.size(); ++g) {
        expects_size(data_.offset[g + 1] - data_.offset[g], detail::list_size_of<L>(), "trainer",
                     "a list of the data");
      }
    }
    expects(data_.target_margin.empty() || read.contains(column_name::target_margin),
            "trainer: the data has a column target_margin, which this loss does not read");
    if (!data_.beta.empty()) {
      expects(read.contains(column_name::beta),
              "trainer: the data has a column beta, which this loss does not read");
      expects((std::same_as<Beta, beta_of_the_loss>),
              "trainer: a beta schedule was given, but each row of the data has its own beta");
      for (std::size_t g = 0; g < data_.beta.size(); ++g) {
        if (data_.beta[g] > 0.0f && std::isfinite(data_.beta[g])) continue;
        detail::broken(row + std::to_string(g) + " has beta " + std::to_string(data_.beta[g]) +
                       "; expected a finite number greater than zero");
      }
    }
    for (std::size_t i = 0; i < data_.length.size(); ++i) {
      if (data_.length[i] > 0.0f && std::isfinite(data_.length[i])) continue;
      detail::broken("trainer: completion " + std::to_string(i) + " of the data has length " +
                     std::to_string(data_.length[i]) +
                     "; expected a finite number greater than zero");
    }
  }

  void check_column(std::vector<float> const& values, column_name name, char const* text) const {
    if (!reads(loss_).contains(name) || !values.empty()) return;
    detail::broken(std::string("trainer: this loss reads ") + text +
                   ", which the data does not have");
  }

  void use(executor threads) {
    if constexpr (requires { policy_.use(threads); }) policy_.use(threads);
    if constexpr (requires { reference_.use(threads); }) reference_.use(threads);
  }

  void gather_next() {
    std::uint64_t const epoch = step_ / steps_per_epoch();
    std::size_t const begin =
        static_cast<std::size_t>(step_ % steps_per_epoch()) * options_.batch_size;
    if (order_.empty() || order_epoch_ != epoch) {
      order_ = permutation(data_.size(), options_.seed, epoch);
      order_epoch_ = epoch;
    }
    std::size_t const count = detail::at_most(options_.batch_size, data_.size() - begin);
    batch_.gather(data_, std::span<std::uint32_t const>(order_).subspan(begin, count), step_,
                  options_.seed);
  }

  void apply_beta(L& loss, std::uint64_t step) const {
    if constexpr (!std::same_as<Beta, beta_of_the_loss>) {
      detail::with_context("trainer: beta of step " + std::to_string(step + 1) + " ", [&] {
        if (set_beta(loss, static_cast<double>(beta_(step))) == 0) {
          detail::broken("comes from a schedule, but this loss has no parameter beta");
        }
      });
    }
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
        detail::broken("trainer: at step " + std::to_string(step_ + 1) +
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
    detail::broken("trainer: at step " + std::to_string(step_ + 1) + " " + bad->what + " of row " +
                   std::to_string(batch_.row(bad->group)) + " is not finite");
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
    if (score > best_ + plan.min_improvement) {
      best_ = score;
      stale_ = 0;
      if (!plan.restore_best) return;
      best_values_.resize(parameters_.size());
      for (std::size_t i = 0; i < parameters_.size(); ++i) {
        best_values_[i].assign(parameters_[i].value.begin(), parameters_[i].value.end());
      }
    } else if (++stale_ >= plan.patience && plan.patience != 0) {
      stopped_ = true;
    }
  }

  void restore_best() {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      copy(best_values_[i], parameters_[i].value);
    }
  }

  // What must agree for a checkpoint to continue this run. Not micro_batch_size and threads, which do not
  // change results, nor epochs and steps, so that a run can be prolonged.
  [[nodiscard]] std::uint64_t run_fingerprint() const {
    fingerprint identity;
    identity.add(static_cast<std::uint64_t>(options_.batch_size)).add(options_.seed);
    identity.add(options_.max_gradient_norm)
        .add(detail::scored_minibatch<P, L, R>::can_score && options_.allow_scores);
    for (std::uint64_t s = 0; s < std::uint64_t{1} << 32; s = 2 * s + 1) {
      identity.add(options_.rate(s));
      if constexpr (!std::same_as<Beta, beta_of_the_loss> && !beta_has_state)
        identity.add(static_cast<double>(beta_(s)));
    }
    if constexpr (beta_has_state) identity.add(static_cast<std::uint64_t>(beta_.identity()));
    identity.add(options_.optimizer.beta1).add(options_.optimizer.beta2);
    identity.add(options_.optimizer.epsilon).add(options_.optimizer.weight_decay);
    if constexpr (requires { L::name; }) identity.add(L::name);
    L loss = loss_;
    if constexpr (beta_has_state) {
      set_beta(loss, 1.0);  // where beta is now belongs to the state, not to the run
    } else {
      apply_beta(loss, 0);  // a scheduled beta is what it is at this step; the schedule is above
    }
    detail::visit_parameters(loss, [&](char const* name, auto const& value) {
      identity.add(name).add(static_cast<double>(value));
    });
    identity.add(detail::fingerprint_of_formula(loss));
    if constexpr (requires {
                    { reference_.identity() } -> std::convertible_to<std::uint64_t>;
                  }) {
      identity.add(static_cast<std::uint64_t>(reference_.identity()));
    }
    for (auto const& each : parameters_) {
      identity.add(each.name).add(static_cast<std::uint64_t>(each.value.size()));
    }
    return identity.value();
  }

  P& policy_;
  L loss_;
  R& reference_;
  choice_data const& data_;
  train_options options_;
  Beta beta_;
  adamw<value_type> optimizer_;
  std::vector<parameter<value_type>> parameters_;
  bool gradient_is_clear_ = false;
  loss_memory<L> memory_ = {};

  std::uint64_t step_ = 0;
  bool stopped_ = false;
  double best_ = -std::numeric_limits<double>::infinity();
  std::uint64_t stale_ = 0;
  std::vector<std::vector<value_type>> best_values_;

  // Working memory, kept from step to step.
  std::vector<std::uint32_t> order_;
  std::uint64_t order_epoch_ = 0;
  detail::scored_minibatch<P, L, R> batch_;
  gradient_norm_memory norm_memory_;
};

}  // namespace prefer
