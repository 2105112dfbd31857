// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/plackett_luce.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/loss/softmax_dpo.hpp>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/train/trainer.hpp>
#include <support/archetypes.hpp>
#include <support/policy_archetypes.hpp>
#include <train/small_problem.hpp>
#include <type_traits>
#include <utility>
#include <vector>

using prefer::choice_batch;
using prefer::choice_data;
using prefer::step_report;
using prefer::train_options;
using prefer::trainer;
using small::message_of;
using small::state_of;

namespace {

using table = prefer::tabular<double>;
using no_reference = prefer::no_reference<double>;

double const infinity = std::numeric_limits<double>::infinity();
float const not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t all_rows = std::numeric_limits<std::size_t>::max();

// No reference at all, and it writes down which rows it was asked for.
struct row_recorder {
  using value_type = double;
  std::vector<std::vector<std::size_t>> batches;
  void log_prob(choice_batch const& batch, std::span<double> out) {
    batches.emplace_back(batch.row.begin(), batch.row.end());
    std::fill(out.begin(), out.end(), 0.0);
  }
};

// The loss before each step, and the parameters after the last.
template <class T>
struct trace {
  std::vector<double> losses;
  std::vector<T> parameters;
  bool operator==(trace const&) const = default;
};

template <class P, class L>
trace<typename P::value_type> trained(L const& loss, choice_data const& data,
                                      train_options const& options) {
  auto policy = small::policy<P>();
  auto reference = prefer::frozen(small::policy<P>());
  trainer run(policy, loss, reference, data, options);
  trace<typename P::value_type> out;
  run.run([&](step_report const& r) { out.losses.push_back(r.loss); });
  out.parameters = state_of(policy);
  return out;
}

template <class P, class L>
void same_for_every_cut(L const& loss, choice_data const& data) {
  prefer::thread_pool pool(2);
  train_options options{.batch_size = 10, .epochs = 3, .rate = 0.05, .max_gradient_norm = 0.1};
  auto const expected = trained<P>(loss, data, options);
  REQUIRE(expected.losses.size() == 9);
  REQUIRE(expected.parameters != state_of(*std::make_unique<P>(small::policy<P>())));
  for (std::size_t const micro : std::vector<std::size_t>{0, 1, 3, 7, 10, 1000}) {
    for (bool const two_threads : {false, true}) {
      INFO("micro_batch_size " << micro << ", two threads: " << two_threads);
      options.micro_batch_size = micro;
      options.threads = two_threads ? pool.executor() : prefer::executor();
      CHECK(trained<P>(loss, data, options) == expected);
    }
  }
}

// A policy that goes wrong at one of its calls, once.
enum class trouble { none, log_prob_throws, log_prob_is_nan, backward_throws, finish_throws };
struct troubled : table {
  using table::tabular;
  trouble kind = trouble::none;
  int calls_until = 0;

  bool now(trouble which) {
    if (kind != which || calls_until-- != 0) return false;
    kind = trouble::none;
    return true;
  }
  void log_prob(choice_batch const& batch, std::span<double> out) {
    if (now(trouble::log_prob_throws)) throw std::runtime_error("out of luck");
    table::log_prob(batch, out);
    if (now(trouble::log_prob_is_nan)) out[1] = std::nan("");
  }
  void backward(choice_batch const& batch, std::span<double const> coefficient) {
    table::backward(batch, coefficient);
    if (now(trouble::backward_throws)) throw std::runtime_error("out of luck");
  }
  void finish_backward() {
    if (now(trouble::finish_throws)) throw std::runtime_error("out of luck");
    table::finish_backward();
  }
};

// Reads more than margins, remembers every batch.
struct remembering {
  static constexpr std::size_t arity = 2;
  struct state {
    double offset = 0.0;
  };
  struct memory {
    double mean = 0.0;
    double batches = 0.0;
  };
  state prepare(auto const& batch, memory& kept) const {
    double sum = 0.0;
    for (std::size_t i = 0; i < batch.size(); ++i) sum += batch.policy.chosen[i];
    kept.batches += 1.0;
    kept.mean += (sum / static_cast<double>(batch.size()) - kept.mean) / kept.batches;
    return {kept.mean};
  }
  constexpr auto operator()(auto const& pair, state const& batch) const {
    return softplus(pair.rejected.log_prob - pair.chosen.log_prob) +
           0.125 * square(pair.chosen.log_prob - batch.offset);
  }
};

// One prompt, completions with probabilities 1/3 and 2/3; each is preferred once.
struct two_by_hand {
  table policy{1, 2, {0.0, std::numbers::ln2}};
  no_reference reference;
  choice_data data;
  two_by_hand() {
    data.add_pair(0, 1, 0);
    data.add_pair(0, 0, 1);
  }
};

template <class P, class L, class D>
constexpr bool trains_on =
    requires(P& p, L l, no_reference& r, D&& d) { trainer(p, l, r, static_cast<D&&>(d)); };

// An engine that counts how often it is used.
struct counting_engine {
  int calls = 0;
  static void run(void* self, std::size_t chunks, prefer::executor::chunk_function body,
                  void* work) {
    ++static_cast<counting_engine*>(self)->calls;
    for (std::size_t chunk = 0; chunk != chunks; ++chunk) body(work, chunk);
  }
  prefer::executor executor() { return {this, &run, 2}; }
};

}  // namespace

TEMPLATE_TEST_CASE("trainer: DPO starts at a loss of ln 2 where the reference is the start",
                   "[train][trainer]", prefer::tabular<float>, prefer::tabular<double>,
                   prefer::matrix_factorization<float>, prefer::log_linear<double>) {
  // sigmoid(0) = 1/2, whatever beta is.
  for (double const beta : {1e-3, 0.1, 1.0, 50.0}) {
    auto policy = small::policy<TestType>();
    auto reference = prefer::frozen(policy);
    auto const data = small::pairs(23);
    trainer run(policy, prefer::dpo{.beta = beta}, reference, data,
                {.batch_size = all_rows, .reference_is_start = true});
    auto const report = run.step();
    CHECK(report.loss == Approx(std::numbers::ln2).epsilon(1e-7));
    CHECK(report.reward_margin == 0);
    CHECK(report.accuracy == 0);  // a tie is a miss
    CHECK(report.beta == beta);
  }
}

TEMPLATE_TEST_CASE("trainer: micro-batches and threads change no bit", "[train][trainer]",
                   prefer::tabular<float>, prefer::tabular<double>,
                   prefer::matrix_factorization<float>, prefer::log_linear<double>) {
  SECTION("a loss of margins") { same_for_every_cut<TestType>(prefer::dpo{}, small::pairs(23)); }
  SECTION("a loss of log-probabilities per token") {
    same_for_every_cut<TestType>(prefer::simpo{}, small::with_lengths(small::pairs(23)));
  }
  SECTION("a loss with a batch statistic") {
    same_for_every_cut<TestType>(prefer::kto{}, small::labelled(23));
  }
  SECTION("a loss that remembers") {
    same_for_every_cut<TestType>(remembering{}, small::pairs(23));
  }
  SECTION("labelled examples") {
    same_for_every_cut<TestType>(prefer::unpaired_loss([](auto const& y) { return -y.log_prob; }),
                                 small::labelled(23));
  }
  SECTION("lists") {
    same_for_every_cut<TestType>(prefer::plackett_luce{}, small::lists(23));
    same_for_every_cut<TestType>(prefer::softmax_dpo{}, small::lists(23));
  }
}

TEMPLATE_TEST_CASE("trainer: enough work for several threads changes no bit either",
                   "[train][trainer]", prefer::dpo, prefer::simpo) {
  prefer::choice_data data;
  for (std::uint32_t i = 0; i < 300; ++i) data.add_pair(i * 7 % 50, i * 11 % 200, 200 + i % 30);
  if (std::is_same_v<TestType, prefer::simpo>) data = small::with_lengths(std::move(data));
  auto const state_with = [&](prefer::executor threads, std::size_t micro) {
    prefer::matrix_factorization<float> policy(50, 230, 8);
    for (auto const& each : policy.parameters()) {
      auto const from = small::values<float>(each.value.size());
      std::copy(from.begin(), from.end(), each.value.begin());
    }
    auto reference = prefer::frozen(policy);
    trainer(policy, TestType{}, reference, data,
            {.batch_size = 128, .micro_batch_size = micro, .rate = 0.05, .threads = threads})
        .run();
    return state_of(policy);
  };
  prefer::thread_pool pool(2);
  auto const expected = state_with({}, 0);
  CHECK(state_with(pool.executor(), 0) == expected);
  CHECK(state_with(pool.executor(), 50) == expected);
  CHECK(state_with({}, 50) == expected);
}

TEST_CASE("trainer: scores in place of log-probabilities change rounding alone",
          "[train][trainer]") {
  // A margin of log-probabilities up to 8 nats is off by at most 4 roundings of 2^-50 nats, and of
  // scores by less. AdamW divides a gradient by its own size, so a relative error of 1e-14 stays one
  // in each of the 9 moves of 0.05.
  auto const data = small::pairs(23);
  train_options options{.batch_size = 10, .epochs = 3, .rate = 0.05};
  auto const with_scores = trained<table>(prefer::dpo{}, data, options);
  options.allow_scores = false;
  auto const without = trained<table>(prefer::dpo{}, data, options);
  for (std::size_t i = 0; i < with_scores.parameters.size(); ++i) {
    CHECK(std::abs(with_scores.parameters[i] - without.parameters[i]) < 1e-12);
  }
  for (std::size_t i = 0; i < with_scores.losses.size(); ++i) {
    CHECK(std::abs(with_scores.losses[i] - without.losses[i]) < 1e-12);
  }
}

TEST_CASE("trainer: uses scores for losses of margins alone, and only if allowed",
          "[train][trainer]") {
  struct counting : table {
    using table::tabular;
    int scored = 0;
    int normalised = 0;
    void score(choice_batch const& batch, std::span<double> out) {
      ++scored;
      table::score(batch, out);
    }
    void log_prob(choice_batch const& batch, std::span<double> out) {
      ++normalised;
      table::log_prob(batch, out);
    }
  };
  auto const data = small::with_lengths(small::pairs(4));
  no_reference reference;
  counting policy(small::prompts, small::completions);
  trainer(policy, prefer::dpo{}, reference, data).step();
  CHECK(policy.scored == 1);
  CHECK(policy.normalised == 0);
  trainer(policy, prefer::dpo{}, reference, data, {.allow_scores = false}).step();
  CHECK(policy.scored == 1);
  CHECK(policy.normalised == 1);
  trainer(policy, prefer::simpo{}, reference, data).step();
  CHECK(policy.scored == 1);
  CHECK(policy.normalised == 2);
}

TEST_CASE("trainer: a batch with a statistic is scored once if it is not cut", "[train][trainer]") {
  struct counting : table {
    using table::tabular;
    int scored = 0;
    void log_prob(choice_batch const& batch, std::span<double> out) {
      if (!batch.kl_examples) ++scored;
      table::log_prob(batch, out);
    }
  };
  auto const data = small::labelled(8);
  no_reference reference;
  counting policy(small::prompts, small::completions);
  trainer(policy, prefer::kto{}, reference, data, {.batch_size = 8}).step();
  CHECK(policy.scored == 1);
  trainer(policy, prefer::kto{}, reference, data, {.batch_size = 8, .micro_batch_size = 4}).step();
  CHECK(policy.scored == 5);
}

TEST_CASE("trainer: a step's report agrees with a calculation by hand", "[train][trainer]") {
  // beta 1 and no reference: margins are +-ln 2, so the losses are log(1 + 1/2) and log(1 + 2), with
  // derivatives -1/3 and -2/3 by the margin. On logit 1 that is (-1/3 + 2/3) / 2 = 1/6, on logit 0 -1/6.
  two_by_hand at;
  trainer run(at.policy, prefer::dpo{.beta = 1.0}, at.reference, at.data,
              {.rate = 0.25, .max_gradient_norm = 100});
  auto const report = run.step();
  CHECK(report.step == 1);
  CHECK(report.steps == 1);
  CHECK(report.loss == Approx((std::log(1.5) + std::log(3.0)) / 2));
  CHECK(report.learning_rate == 0.25);
  CHECK(report.beta == 1);
  CHECK(report.reward_margin == Approx(0).margin(1e-15));
  CHECK(report.accuracy == 0.5);
  CHECK(report.gradient_norm == Approx(std::numbers::sqrt2 / 6));
}

TEST_CASE("trainer: what does not apply to a step is NaN in its report", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference reference;
  auto const data = small::labelled(5);
  auto const report = trainer(policy, prefer::kto{}, reference, data).step();
  CHECK(std::isnan(report.gradient_norm));  // no limit: not measured
  CHECK(std::isnan(report.reward_margin));  // no pairs
  CHECK(std::isnan(report.accuracy));
}

TEST_CASE("trainer: log-probabilities and what fell below the reference are reported if not scores",
          "[train][trainer]") {
  // Logits 0 and ln 3 give probabilities 1/4 and 3/4; the reference gives 1/2 to both. Chosen are, in
  // turn, completion 1 and twice completion 0: two of three fell.
  table policy(1, 2, {0.0, std::log(3.0)});
  auto reference = prefer::frozen(table(1, 2));
  choice_data data;
  data.add_pair(0, 1, 0);
  data.add_pair(0, 0, 1);
  data.add_pair(0, 0, 1);
  auto const report_of = [&](auto const& loss, bool allow_scores) {
    table start = policy;
    return trainer(start, loss, reference, data, {.allow_scores = allow_scores}).step();
  };
  auto const report = report_of(prefer::dpo{}, false);
  CHECK(report.log_prob_chosen == Approx((std::log(0.75) + 2 * std::log(0.25)) / 3));
  CHECK(report.log_prob_rejected == Approx((std::log(0.25) + 2 * std::log(0.75)) / 3));
  CHECK(report.displaced_share == Approx(2.0 / 3));
  CHECK(std::isnan(report_of(prefer::dpo{}, true).log_prob_chosen));  // scores: log_prob + anything
  CHECK(std::isnan(report_of(prefer::dpo{}, true).displaced_share));
  // NLL reads no margin, so never scores; and no reference.
  CHECK(report_of(prefer::nll{}, true).log_prob_chosen == report.log_prob_chosen);
  CHECK(std::isnan(report_of(prefer::nll{}, true).displaced_share));
}

TEST_CASE("trainer: an optimizer step follows the gradient of the mean loss", "[train][trainer]") {
  // The gradient by hand above, (-1/6, 1/6), times a rate of 0.6.
  two_by_hand at;
  trainer run(at.policy, prefer::dpo{.beta = 1.0}, at.reference, at.data,
              {.rate = 0.6 * small::gradient_descent_scale, .optimizer = small::gradient_descent});
  run.step();
  CHECK(state_of(at.policy)[0] == Approx(0.1).epsilon(1e-7));
  CHECK(state_of(at.policy)[1] == Approx(std::numbers::ln2 - 0.1).epsilon(1e-7));
}

TEST_CASE("trainer: a clipped gradient has the length that is allowed", "[train][trainer]") {
  two_by_hand at;
  trainer run(at.policy, prefer::dpo{.beta = 1.0}, at.reference, at.data,
              {.rate = small::gradient_descent_scale,
               .optimizer = small::gradient_descent,
               .max_gradient_norm = 1e-3});
  CHECK(run.step().gradient_norm == Approx(std::numbers::sqrt2 / 6));  // before clipping
  auto const after = state_of(at.policy);
  CHECK(std::hypot(after[0], after[1] - std::numbers::ln2) == Approx(1e-3).epsilon(1e-6));
}

TEST_CASE("trainer: the learning rate of each step is the schedule's", "[train][trainer]") {
  // Gradient descent on -log_prob of completion 0 of 2: the move is rate * (1 - p).
  table policy(1, 2);
  no_reference reference;
  choice_data data;
  data.add_labelled(0, 0, true);
  double const scale = small::gradient_descent_scale;
  auto const rate = prefer::learning_rate::linear(
      {.peak = scale, .steps = 4, .warm_up = {.steps = 2}});  // 1/2, 1, 1, 1/2 times the peak
  trainer run(policy, prefer::unpaired_loss([](auto const& y) { return -y.log_prob; }), reference,
              data, {.steps = 4, .rate = rate, .optimizer = small::gradient_descent});
  for (double const expected : {0.5, 1.0, 1.0, 0.5}) {
    auto const before = state_of(policy);
    double const p = 1 / (1 + std::exp(before[1] - before[0]));
    CHECK(run.step().learning_rate == expected * scale);
    CHECK(state_of(policy)[0] - before[0] == Approx(expected * (1 - p)).epsilon(1e-6));
  }
}

TEST_CASE("trainer: weights multiply losses, and the mean still divides by the batch",
          "[train][trainer]") {
  table policy(1, 2);  // uniform: each loss is ln 2
  no_reference reference;
  choice_data data;
  data.add_pair(0, 0, 1);
  data.add_pair(0, 1, 0);
  data.weight = {1, 3};
  CHECK(trainer(policy, prefer::dpo{}, reference, data).step().loss ==
        Approx(2 * std::numbers::ln2));
}

TEST_CASE("trainer: a row's own beta takes the place of the loss's", "[train][trainer]") {
  // At a margin of 0, IPO's loss is 1 / (2 beta)^2: 1 and 1/4.
  table policy(1, 2);
  no_reference reference;
  choice_data data;
  data.add_pair(0, 0, 1);
  data.add_pair(0, 1, 0);
  data.beta = {0.5, 1};
  CHECK(trainer(policy, prefer::ipo_sum{.beta = 0.01}, reference, data).step().loss == 0.625);
}

TEST_CASE("trainer: lengths divide log-probabilities per token", "[train][trainer]") {
  // Both completions have the log-probability -ln 2, so SimPO's margin without a target is
  // beta * (-ln 2 / 2 + ln 2 / 4) = -ln 2 with beta 4.
  table policy(1, 2);
  no_reference reference;
  choice_data data;
  data.add_pair(0, 0, 1);
  data.length = {2, 4};
  auto const report =
      trainer(policy, prefer::simpo{.beta = 4.0, .gamma = 0.0}, reference, data).step();
  CHECK(report.loss == Approx(std::log(3.0)));
}

TEST_CASE("trainer: a loss that reads lengths is not given any by default", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference reference;
  auto const data = small::pairs(4);
  CHECK(message_of([&] { trainer(policy, prefer::simpo{}, reference, data); }) ==
        "trainer: this loss reads completion lengths; fill length in the data, with 1 where a "
        "completion is one choice");
}

TEST_CASE("trainer: a row's own target margin reaches the loss", "[train][trainer]") {
  // A margin of 0 against targets of 1 and 3.
  table policy(1, 2);
  no_reference reference;
  choice_data data;
  data.add_pair(0, 0, 1);
  data.add_pair(0, 1, 0);
  data.target_margin = {1, 3};
  auto const offset = prefer::pair_loss(
      [](auto const& p) { return square(p.log_prob_margin() - p.target_margin_or(0.0)); });
  CHECK(trainer(policy, offset, reference, data).step().loss == 5);
  auto const without = prefer::pair_loss([](auto const& p) { return square(p.log_prob_margin()); });
  CHECK(message_of([&] { trainer(policy, without, reference, data); }) ==
        "trainer: the data has a column target_margin, which this loss does not read");
}

TEST_CASE("trainer: beta follows its schedule", "[train][trainer]") {
  // From 1/2 to 1 in two steps; IPO's loss at a margin of 0 is 1 / (2 beta)^2. The rate is too small to
  // move a logit.
  table policy(1, 2);
  no_reference reference;
  choice_data data;
  data.add_pair(0, 0, 1);
  trainer run(policy, prefer::ipo_sum{.beta = 7.0}, reference, data, {.steps = 4, .rate = 1e-300},
              prefer::linear_beta{.from = 0.5, .to = 1.0, .steps = 2});
  std::vector<double> betas;
  std::vector<double> losses;
  run.run([&](step_report const& r) {
    betas.push_back(r.beta);
    losses.push_back(r.loss);
  });
  CHECK(betas == std::vector{0.5, 0.75, 1.0, 1.0});
  CHECK(losses[0] == 1);
  CHECK(losses[1] == Approx(4.0 / 9));
  CHECK(losses[2] == 0.25);
  CHECK(losses[3] == 0.25);
}

TEST_CASE("trainer: refuses a beta schedule that cannot hold", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference reference;
  auto data = small::pairs(4);
  auto const formula = prefer::pair_loss([](auto const& p) { return -p.log_prob_margin(); });
  CHECK(message_of([&] {
          trainer(policy, formula, reference, data, {}, prefer::constant_beta{1.0});
        }) == "trainer: step 1: beta comes from a schedule, but this loss has no parameter beta");
  CHECK(message_of([&] { trainer(policy, prefer::dpo{.beta = -1}, reference, data); }) ==
        "dpo: beta is -1, expected a finite number greater than zero");
  auto const falls_to_zero = [](std::uint64_t step) { return step == 0 ? 1.0 : 0.0; };
  trainer run(policy, prefer::dpo{}, reference, data, {.batch_size = 2}, falls_to_zero);
  run.step();
  auto const before = state_of(policy);
  CHECK(message_of([&] { run.step(); }) ==
        "trainer: step 2: dpo: beta is 0, expected a finite number greater than zero");
  CHECK(state_of(policy) == before);
  data.beta.assign(4, 1.0f);
  CHECK(message_of([&] {
          trainer(policy, prefer::dpo{}, reference, data, {}, prefer::constant_beta{1.0});
        }) == "trainer: a beta schedule was given, but each row of the data has its own beta");
}

TEST_CASE("trainer: an epoch shows every row once, the last batch shorter, in a new order",
          "[train][trainer]") {
  table policy(small::prompts, small::completions);
  row_recorder reference;
  auto const data = small::pairs(10);
  trainer run(policy, prefer::dpo{}, reference, data, {.batch_size = 4, .epochs = 2});
  CHECK(run.steps_per_epoch() == 3);
  CHECK(run.steps_planned() == 6);
  CHECK(run.run() == prefer::run_outcome::finished);
  CHECK(run.done());
  CHECK(run.steps_done() == 6);
  REQUIRE(reference.batches.size() == 6);
  std::vector<std::vector<std::size_t>> epochs(2);
  for (std::size_t i = 0; i < 6; ++i) {
    auto const& rows = reference.batches[i];
    CHECK(rows.size() == (i % 3 == 2 ? 2 : 4));
    epochs[i / 3].insert(epochs[i / 3].end(), rows.begin(), rows.end());
  }
  CHECK(epochs[0] != epochs[1]);
  for (auto& rows : epochs) {
    std::sort(rows.begin(), rows.end());
    CHECK(rows == std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  }
}

TEST_CASE("trainer: the seed alone decides the order of rows", "[train][trainer]") {
  auto const data = small::pairs(10);
  auto const order = [&](std::uint64_t seed) {
    table policy(small::prompts, small::completions);
    row_recorder reference;
    trainer(policy, prefer::dpo{}, reference, data, {.batch_size = 4, .seed = seed}).run();
    return reference.batches;
  };
  CHECK(order(1) == order(1));
  CHECK(order(1) != order(2));
}

TEST_CASE("trainer: steps are counted from epochs unless they are given", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference reference;
  auto const data = small::pairs(10);
  auto const planned = [&](train_options const& options) {
    return trainer(policy, prefer::dpo{}, reference, data, options).steps_planned();
  };
  CHECK(planned({.batch_size = 5, .epochs = 3}) == 6);
  CHECK(planned({.batch_size = 3, .epochs = 3}) == 12);
  CHECK(planned({.batch_size = 3, .epochs = 3, .steps = 5}) == 5);
  CHECK(planned({.batch_size = 3, .epochs = 3, .steps = 50}) == 50);
  CHECK(planned({.batch_size = all_rows, .epochs = 3}) == 3);
  CHECK(planned({.batch_size = 3, .epochs = 0}) == 0);
  std::uint64_t const forever = std::numeric_limits<std::uint64_t>::max();
  CHECK(planned({.batch_size = 3, .epochs = forever}) == forever);
}

TEST_CASE("trainer: a plan without steps does nothing", "[train][trainer]") {
  auto policy = small::policy<table>();
  no_reference reference;
  auto const data = small::pairs(10);
  auto const before = state_of(policy);
  trainer run(policy, prefer::dpo{}, reference, data, {.epochs = 0});
  CHECK(run.run() == prefer::run_outcome::finished);
  CHECK(state_of(policy) == before);
}

TEST_CASE("trainer: refuses options that make no sense", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference reference;
  auto const data = small::pairs(4);
  auto const refusal = [&](train_options const& options) {
    return message_of([&] { trainer(policy, prefer::dpo{}, reference, data, options); });
  };
  CHECK(refusal({.batch_size = 0}) == "shuffled: batch_size must be at least 1");
  CHECK(refusal({.max_gradient_norm = 0}) ==
        "trainer: max_gradient_norm must be greater than zero");
  CHECK(refusal({.max_gradient_norm = std::nan("")}) ==
        "trainer: max_gradient_norm must be greater than zero");
}

TEST_CASE("trainer: refuses data that does not fit the loss", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference reference;
  auto const refusal = [&](auto const& loss, choice_data const& data) {
    return message_of([&] { trainer(policy, loss, reference, data).step(); });
  };
  CHECK(refusal(prefer::dpo{}, {}) == "trainer: the data set is empty");

  auto data = small::pairs(2);
  data.add_list(3, std::vector<std::uint32_t>{1, 2, 3});
  CHECK(refusal(prefer::dpo{}, data) == "trainer: row 2 has 3 completions; this loss takes 2");
  CHECK(refusal(prefer::kto{}, small::pairs(2)) ==
        "trainer: row 0 has 2 completions; this loss takes 1");

  auto unlabelled = small::labelled(4);
  unlabelled.label.clear();
  CHECK(refusal(prefer::kto{}, unlabelled) == "trainer: label has 0 elements, expected 4");

  auto alone = small::labelled(4);
  alone.kl_examples.clear();
  CHECK(refusal(prefer::kto{}, alone) ==
        "unpaired_columns: this loss takes its baseline from KL examples; give "
        "kl_examples.policy and kl_examples.reference");

  auto empty_list = small::lists(2);
  empty_list.prompt.push_back(0);
  empty_list.offset.push_back(empty_list.completion.size());
  CHECK(refusal(prefer::plackett_luce{}, empty_list) ==
        "trainer: row 2 has 0 completions; this loss takes at least 1");
}

TEST_CASE("trainer: refuses columns of a wrong size", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference reference;
  auto const refusal = [&](auto&& change) {
    auto data = small::pairs(4);
    change(data);
    return message_of([&] { trainer(policy, prefer::dpo{}, reference, data); });
  };
  CHECK(refusal([](choice_data&) {}) == "");
  CHECK(refusal([](choice_data& d) {
          d.weight = {1, 1};
        }) == "trainer: weight has 2 elements, expected 4");
  CHECK(refusal([](choice_data& d) {
          d.beta = {1, 1};
        }) == "trainer: beta has 2 elements, expected 4");
  CHECK(refusal([](choice_data& d) {
          d.length = {1, 1, 1, 1};
        }) == "trainer: length has 4 elements, expected 8");
  CHECK(refusal([](choice_data& d) { d.kl_examples = {1}; }) ==
        "trainer: kl_examples has 1 elements, expected 4");
  // A loss that reads no labels must not read beyond them either.
  CHECK(refusal([](choice_data& d) { d.label = {1}; }) ==
        "trainer: label has 1 elements, expected 4");
  CHECK(refusal([](choice_data& d) { d.offset = {0}; }) ==
        "trainer: offset has 1 elements, expected 5");
  CHECK(refusal([](choice_data& d) { d.completion.pop_back(); }) ==
        "trainer: completion has 7 elements, expected 8");
}

TEST_CASE("trainer: refuses lengths and betas that are not positive numbers", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference reference;
  auto data = small::pairs(2);
  for (float const bad : {0.0f, -1.0f, not_a_number}) {
    data.length = {1, 1, bad, 1};
    CHECK(message_of([&] { trainer(policy, prefer::simpo{}, reference, data); }) ==
          "trainer: completion 2 of the data has length " + std::to_string(bad) +
              "; expected a finite number of tokens, greater than zero");
    data.length.clear();
    data.beta = {1, bad};
    CHECK(message_of([&] { trainer(policy, prefer::dpo{}, reference, data); }) ==
          "trainer: row 1 has beta " + std::to_string(bad) +
              "; expected a finite number greater than zero");
    data.beta.clear();
  }
  data.beta = {1, 1};
  auto const formula = prefer::pair_loss([](auto const& p) { return -p.log_prob_margin(); });
  CHECK(message_of([&] { trainer(policy, formula, reference, data); }) ==
        "trainer: the data has a column beta, which this loss does not read");
}

TEST_CASE("trainer: an id that the policy does not have stops the step", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference reference;
  choice_data data;
  data.add_pair(0, 0, small::completions);
  auto const before = state_of(policy);
  CHECK(message_of([&] { trainer(policy, prefer::dpo{}, reference, data).step(); }) ==
        "tabular::score: completion 1 is 5, expected less than 5");
  CHECK(state_of(policy) == before);
}

TEST_CASE("trainer: a loss that is not finite names its row and moves nothing",
          "[train][trainer]") {
  auto const loss = prefer::pair_loss(
      [](auto const& p) { return softplus(-p.log_ratio_margin()) + log(p.chosen.score); });
  for (float const bad : {-1.0f, 0.0f}) {  // whose logarithms are NaN and minus infinity
    auto policy = small::policy<table>();
    auto reference = prefer::frozen(policy);
    auto data = small::pairs(23);
    data.score.assign(46, 1.0f);
    data.score[2 * 17] = bad;
    trainer run(policy, loss, reference, data, {.batch_size = 4, .micro_batch_size = 1});
    std::string message;
    std::vector<double> before;
    while (message.empty() && !run.done()) {
      before = state_of(policy);
      message = message_of([&] { run.step(); });
    }
    CHECK(message == "trainer: at step " + std::to_string(run.steps_done() + 1) +
                         " the loss of row 17 is not finite");
    CHECK(state_of(policy) == before);
  }
}

TEST_CASE("trainer: a derivative that is not finite names its row too", "[train][trainer]") {
  // As float, the loss 1e20 ln 2 is a number and its derivative, -1e20 * 1e30 / 2, is not.
  prefer::tabular<float> policy(1, 2);
  prefer::no_reference<float> reference;
  choice_data data;
  data.add_pair(0, 0, 1);
  data.weight = {1e20f};
  CHECK(message_of([&] { trainer(policy, prefer::dpo{.beta = 1e30}, reference, data).step(); }) ==
        "trainer: at step 1 the derivative of the loss of row 0 is not finite");
  CHECK(state_of(policy) == std::vector<float>{0, 0});
}

TEST_CASE("trainer: a gradient that is not finite moves nothing", "[train][trainer]") {
  struct exploding : table {
    using table::tabular;
    void finish_backward() { parameters()[0].gradient[0] = infinity; }
  };
  exploding policy(1, 2);
  no_reference reference;
  choice_data data;
  data.add_pair(0, 0, 1);
  trainer run(policy, prefer::dpo{}, reference, data, {.max_gradient_norm = 1});
  CHECK(message_of([&] { run.step(); }) == "trainer: at step 1 the gradient is not finite");
  CHECK(state_of(policy) == std::vector<double>{0, 0});
}

TEST_CASE("trainer: a step that failed leaves no trace in those that follow", "[train][trainer]") {
  auto const data = small::pairs(23);
  no_reference reference;
  train_options const options{.batch_size = 8, .micro_batch_size = 3, .epochs = 2, .rate = 0.05};
  auto const start = small::values<double>(small::prompts * small::completions);

  table expected(small::prompts, small::completions, start);
  trainer(expected, remembering{}, reference, data, options).run();

  // Each micro-batch of the 8 rows is scored twice and goes back once.
  for (auto const kind : {trouble::log_prob_throws, trouble::log_prob_is_nan,
                          trouble::backward_throws, trouble::finish_throws}) {
    for (int const calls_until : {0, 1, 2}) {
      INFO("trouble " << static_cast<int>(kind) << " after " << calls_until << " calls");
      troubled policy(small::prompts, small::completions, start);
      trainer run(policy, remembering{}, reference, data, options);
      run.step();
      auto const before = state_of(policy);
      policy.kind = kind;
      policy.calls_until = calls_until;
      for (int i = 0; policy.kind != trouble::none; ++i) {
        auto const unmoved = state_of(policy);
        auto const done = run.steps_done();
        auto const message = message_of([&] { run.step(); });
        if (message.empty()) continue;
        CHECK(policy.kind == trouble::none);
        CHECK(state_of(policy) == unmoved);
        CHECK(run.steps_done() == done);
      }
      run.run();
      CHECK(state_of(policy) == state_of(expected));
    }
  }
}

TEST_CASE("trainer: an error of finish_backward reaches the caller each time", "[train][trainer]") {
  struct broken : table {
    using table::tabular;
    bool is_broken = false;
    void finish_backward() {
      if (is_broken) throw std::runtime_error("device lost");
      table::finish_backward();
    }
  };
  auto const data = small::with_lengths(small::pairs(5));
  auto const start = small::values<double>(small::prompts * small::completions);
  no_reference reference;
  broken policy(small::prompts, small::completions, start);
  trainer run(policy, prefer::simpo{}, reference, data);
  policy.is_broken = true;
  for (int again = 0; again < 3; ++again) {
    CHECK(message_of([&] { run.step(); }) == "device lost");
    CHECK(state_of(policy) == start);
  }
  policy.is_broken = false;
  run.step();

  table whole(small::prompts, small::completions, start);
  trainer(whole, prefer::simpo{}, reference, data).step();
  CHECK(state_of(policy) == state_of(whole));
}

TEST_CASE("trainer: starts from no gradient, whatever was left behind", "[train][trainer]") {
  auto const data = small::with_lengths(small::pairs(5));
  auto const start = small::values<double>(small::prompts * small::completions);
  no_reference reference;
  table clean(small::prompts, small::completions, start);
  trainer(clean, prefer::simpo{}, reference, data).step();

  table used(small::prompts, small::completions, start);
  used.backward(data.batch(), std::vector<double>{9, 8, 7, 6, 5, 4, 3, 2, 1, 0});
  trainer(used, prefer::simpo{}, reference, data).step();
  CHECK(state_of(used) == state_of(clean));
}

TEST_CASE("trainer: a callback that returns false interrupts, and the run can go on",
          "[train][trainer]") {
  auto const data = small::pairs(20);
  auto policy = small::policy<table>();
  no_reference reference;
  train_options const options{.batch_size = 4, .epochs = 2};
  trainer run(policy, prefer::dpo{}, reference, data, options);
  CHECK(run.run([](step_report const& r) { return r.step < 3; }) ==
        prefer::run_outcome::interrupted);
  CHECK(run.steps_done() == 3);
  CHECK_FALSE(run.done());
  CHECK(run.run() == prefer::run_outcome::finished);

  auto whole = small::policy<table>();
  trainer(whole, prefer::dpo{}, reference, data, options).run();
  CHECK(state_of(policy) == state_of(whole));
}

TEST_CASE("trainer: stops early, and ends with its best parameters where asked",
          "[train][trainer]") {
  auto const data = small::pairs(20);
  no_reference reference;
  train_options const options{.batch_size = 2, .epochs = 2, .rate = 0.05};  // 20 steps
  for (bool const restore : {false, true}) {
    auto policy = small::policy<table>();
    trainer run(policy, prefer::dpo{}, reference, data, options);
    // The best evaluation is the second, at step 4; patience ends with the fourth, at step 8.
    std::vector<double> const scores = {1, 3, 2, 3};
    std::size_t evaluations = 0;
    std::vector<double> best;
    std::vector<double> last;
    auto const outcome = run.run([&](step_report const&) { last = state_of(policy); },
                                 {.every = 2, .patience = 2, .restore_best = restore},
                                 [&](table& p) {
                                   if (evaluations == 1) best = state_of(p);
                                   return scores.at(evaluations++);
                                 });
    CHECK(outcome == prefer::run_outcome::stopped_early);
    CHECK(run.steps_done() == 8);
    CHECK(run.done());
    CHECK(run.best_evaluation() == 3);
    CHECK(best != last);
    CHECK(state_of(policy) == (restore ? best : last));
  }
}

TEST_CASE("trainer: an improvement counts from min_improvement on, and NaN is none",
          "[train][trainer]") {
  auto const data = small::pairs(20);
  no_reference reference;
  auto const steps_until_stop = [&](std::vector<double> const& scores, double min_improvement) {
    auto policy = small::policy<table>();
    trainer run(policy, prefer::dpo{}, reference, data, {.batch_size = 2});
    std::size_t evaluations = 0;
    run.run([](step_report const&) {},
            {.every = 1, .patience = 2, .min_improvement = min_improvement},
            [&](table&) { return scores.at(evaluations++); });
    return run.steps_done();
  };
  std::vector<double> const rising = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  CHECK(steps_until_stop(rising, 0) == 10);
  CHECK(steps_until_stop(rising, 1) == 10);  // every other one exceeds the best by 2
  CHECK(steps_until_stop(rising, 9) == 3);
  CHECK(steps_until_stop({5, std::nan(""), 6, std::nan(""), std::nan("")}, 0) == 5);
  CHECK(steps_until_stop({std::nan(""), std::nan("")}, 0) == 2);
}

TEST_CASE("trainer: evaluates every so many steps and at the end", "[train][trainer]") {
  auto const data = small::pairs(10);
  auto policy = small::policy<table>();
  no_reference reference;
  trainer run(policy, prefer::dpo{}, reference, data, {.batch_size = 1});
  std::vector<std::uint64_t> at;
  run.run([](step_report const&) {}, {.every = 4},
          [&](table&) {
            at.push_back(run.steps_done());
            return 0.0;
          });
  CHECK(at == std::vector<std::uint64_t>{4, 8, 10});
}

TEST_CASE("trainer: a reference's after_step runs once per step with the moved policy",
          "[train][trainer]") {
  struct following {
    using value_type = double;
    std::vector<std::uint64_t> steps;
    std::vector<std::vector<double>> seen;
    void log_prob(choice_batch const&, std::span<double> out) {
      std::fill(out.begin(), out.end(), 0.0);
    }
    void after_step(table& policy, std::uint64_t step) {
      steps.push_back(step);
      seen.push_back(state_of(policy));
    }
  };
  auto const data = small::pairs(6);
  auto policy = small::policy<table>();
  following reference;
  trainer run(policy, prefer::dpo{}, reference, data, {.batch_size = 2});
  std::vector<std::vector<double>> after;
  run.run([&](step_report const&) { after.push_back(state_of(policy)); });
  CHECK(reference.steps == std::vector<std::uint64_t>{1, 2, 3});
  CHECK(reference.seen == after);
}

TEST_CASE("trainer: a reference that is not the start it claims to be is refused",
          "[train][trainer]") {
  auto policy = small::policy<table>();
  auto reference = prefer::frozen(policy);
  policy.parameters()[0].value[2 * small::completions + 3] += 1;
  auto const before = state_of(policy);
  choice_data data;
  for (std::uint32_t p = 0; p < small::prompts; ++p) data.add_pair(p, 0, 3);
  // Prompt 2, completion 3 gains about 0.8 nats and its others lose about 0.2.
  trainer run(policy, prefer::dpo{}, reference, data, {.reference_is_start = true});
  CHECK_THAT(message_of([&] { run.step(); }),
             Catch::StartsWith("reference: it should be the initial policy, yet |log_ratio| of "
                               "completion 1 of row 2 is 0."));
  CHECK(state_of(policy) == before);
  CHECK(run.steps_done() == 0);
}

TEST_CASE("trainer: policy and reference may store different floats", "[train][trainer]") {
  auto const data = small::pairs(9);
  auto policy = small::policy<prefer::tabular<float>>();
  auto const start = small::policy<table>();  // the same numbers
  auto exact = prefer::frozen(start);
  auto reference = prefer::cached<double>::of(exact, data, 0);
  trainer run(policy, prefer::dpo{}, reference, data,
              {.reference_is_start = true, .allow_scores = false});
  CHECK(run.step().loss == Approx(std::numbers::ln2).epsilon(1e-6));
}

TEST_CASE("trainer: takes its threads back when it goes", "[train][trainer]") {
  counting_engine engine;
  auto const data = small::with_lengths(small::pairs(9));
  prefer::matrix_factorization<float> policy(small::prompts, 500,
                                             4);  // more than one piece of work
  auto reference = prefer::frozen(policy);
  std::vector<float> out(18);
  {
    trainer run(policy, prefer::simpo{}, reference, data, {.threads = engine.executor()});
    policy.log_prob(data.batch(), out);
    REQUIRE(std::exchange(engine.calls, 0) > 0);
    reference.log_prob(data.batch(), out);
    REQUIRE(std::exchange(engine.calls, 0) > 0);
  }
  policy.log_prob(data.batch(), out);
  reference.log_prob(data.batch(), out);
  CHECK(engine.calls == 0);
}

TEST_CASE("trainer: borrows its data, so a temporary does not compile", "[train][trainer]") {
  STATIC_REQUIRE(trains_on<table, prefer::dpo, choice_data&>);
  STATIC_REQUIRE(trains_on<table, prefer::dpo, choice_data const&>);
  STATIC_REQUIRE_FALSE(trains_on<table, prefer::dpo, choice_data>);
  STATIC_REQUIRE_FALSE(trains_on<table, prefer::dpo, choice_data const>);
  using any = trainer<table, prefer::dpo, no_reference>;
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<any>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<any>);
}

TEST_CASE("Policy: each missing member makes the concept false", "[train][trainer]") {
  using prefer::Policy;
  using prefer::test::policy_archetype;
  using prefer::test::policy_lacks;
  STATIC_REQUIRE(Policy<policy_archetype<>, choice_batch>);
  STATIC_REQUIRE_FALSE(Policy<policy_archetype<policy_lacks::value_type>, choice_batch>);
  STATIC_REQUIRE_FALSE(Policy<policy_archetype<policy_lacks::floating_value>, choice_batch>);
  STATIC_REQUIRE_FALSE(Policy<policy_archetype<policy_lacks::log_prob>, choice_batch>);
  STATIC_REQUIRE_FALSE(Policy<policy_archetype<policy_lacks::backward>, choice_batch>);
  STATIC_REQUIRE_FALSE(Policy<policy_archetype<policy_lacks::parameters>, choice_batch>);
  STATIC_REQUIRE_FALSE(prefer::ScoringPolicy<policy_archetype<>, choice_batch>);
  STATIC_REQUIRE(prefer::ScoringPolicy<table, choice_batch>);
}

TEMPLATE_TEST_CASE_SIG("trainer: asks no more of policy, reference and loss than their concepts",
                       "[train][trainer]", ((std::size_t Arity), Arity), 0, 1, 2) {
  using namespace prefer::test;
  policy_archetype<> policy(-1.5);
  reference_archetype<> reference(-2.0);
  choice_data data;
  for (std::uint32_t p = 0; p < 4; ++p) {
    std::vector<std::uint32_t> const completions = {0, 1, 2};
    data.add_list(p, std::span(completions).first(Arity == 0 ? 3 : Arity));
  }
  trainer run(policy, loss_archetype<Arity>(0), reference, data, {.batch_size = 2});
  std::vector<double> losses;
  CHECK(run.run([&](step_report const& r) { losses.push_back(r.loss); }) ==
        prefer::run_outcome::finished);
  // Arity 2 is a difference of two equal numbers; the others are -log_prob, which AdamW then raises.
  CHECK(losses[0] == (Arity == 2 ? 0.0 : 1.5));
  CHECK((Arity == 2 ? policy.value() == -1.5 : policy.value() > -1.5));
}

TEST_CASE("trainer: works with archetypes of losses that remember and of betas",
          "[train][trainer]") {
  using namespace prefer::test;
  policy_archetype<policy_lacks::nothing, float> policy(-1.5f);
  reference_archetype<> reference(-2.0);
  auto const data = small::pairs(4);
  trainer run(policy, remembering_archetype(0), reference, data, {.batch_size = 2});
  CHECK(run.run([](step_report const&) { return true; }, {.every = 1},
                [](auto const& p) { return p.value(); }) == prefer::run_outcome::finished);
}
