// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>
#include <prefer/batch/token_table.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/model/matrix_factorization.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/moving_average.hpp>
#include <prefer/train/trainer.hpp>
#include <reference/adapted.hpp>
#include <reference/in_pieces.hpp>
#include <train/adapter_policy.hpp>
#include <vector>

using Catch::Matchers::Contains;
using prefer::bema;
using prefer::choice_batch;
using prefer::ema;
using prefer::moving_average;
using prefer::tr_dpo;
using small::message_of;
using small::state_of;

namespace {

using table = prefer::tabular<double>;

double const epsilon = std::numeric_limits<double>::epsilon();

// A table of one prompt and three completions whose logits follow a path: start + step * speed.
struct path {
  std::vector<double> start = {0.5, -1.25, 2.0};
  std::vector<double> speed = {0.125, -0.5, 1.0};
  table policy = table(1, 3, start);

  [[nodiscard]] double at(std::size_t i, double step) const { return start[i] + step * speed[i]; }

  // Moves the policy along the path for `steps` steps and tells the reference of each.
  template <class R>
  void follow(R& reference, std::uint64_t steps) {
    auto const logits = policy.parameters()[0].value;
    for (std::uint64_t step = 1; step <= steps; ++step) {
      for (std::size_t i = 0; i < 3; ++i) logits[i] = at(i, static_cast<double>(step));
      reference.after_step(policy, step);
    }
  }
};

template <class R>
std::vector<double> averages(R const& reference) {
  auto copy = reference.policy();
  return state_of(copy);
}

// Blocks last to first, as another engine may run them.
void backwards(void*, std::size_t chunks, prefer::executor::chunk_function body, void* work) {
  for (std::size_t k = chunks; k-- > 0;) body(work, k);
}

}  // namespace

TEST_CASE("ema: after k steps it is the geometric average of the path", "[reference][moving]") {
  for (double const rate : {0.01, 0.25, 0.9}) {
    for (std::uint64_t const k : {1u, 2u, 10u, 300u}) {
      path along;
      moving_average reference(along.policy, ema{.rate = rate});
      along.follow(reference, k);
      auto const found = averages(reference);
      // With q = 1 - rate, rate * sum_{j=1..k} q^(k-j) (s + j v) + q^k s = s + v (k - q (1 - q^k) / rate).
      double const q = 1.0 - rate;
      double const steps = static_cast<double>(k);
      double const lag = q * (1.0 - std::pow(q, steps)) / rate;
      for (std::size_t i = 0; i < 3; ++i) {
        double const expected = along.at(i, steps - lag);
        // Each step rounds three times at the size of the policy (at most 302), and the errors of the past
        // shrink by q: 3 / rate roundings in all.
        CAPTURE(rate, k, i);
        CHECK(std::abs(found[i] - expected) <= 3.0 / rate * 302.0 * epsilon);
      }
    }
  }
}

TEST_CASE("tr_dpo: is the geometric average of what it met every so many steps",
          "[reference][moving]") {
  path along;
  moving_average reference(along.policy, tr_dpo{.alpha = 0.6, .every = 4});
  along.follow(reference, 11);  // met at 4 and 8
  auto const found = averages(reference);
  for (std::size_t i = 0; i < 3; ++i) {
    // 0.4 * (0.4 * start + 0.6 * at(4)) + 0.6 * at(8) = at(0.4 * 0.6 * 4 + 0.6 * 8) = at(5.76)
    CHECK(std::abs(found[i] - along.at(i, 5.76)) <= 8.0 * 10.0 * epsilon);
  }
}

TEST_CASE("tr_dpo: the defaults are TRL's", "[reference][moving]") {
  CHECK(static_cast<double>(tr_dpo{}.alpha) == 0.6);
  CHECK(tr_dpo{}.every == 512);
  CHECK(tr_dpo{}.due(1024));
  CHECK_FALSE(tr_dpo{}.due(1023));
}

TEST_CASE("bema: with ema_power 1 and no lag it averages all that it met, and goes ahead of it",
          "[reference][moving]") {
  // w_t = 1 / t makes the average the mean of the path at 1 ... t, which is the path at (t + 1) / 2. The
  // correction is t^-bias_power * t * speed.
  for (double const bias_power : {0.0, 0.5, 1.0}) {
    path along;
    moving_average reference(
        along.policy,
        bema{
            .every = 1, .ema_power = 1.0, .bias_power = bias_power, .lag = 0.0, .multiplier = 1.0});
    along.follow(reference, 16);
    auto const found = averages(reference);
    double const ahead = std::pow(16.0, 1.0 - bias_power);
    for (std::size_t i = 0; i < 3; ++i) {
      CAPTURE(bias_power, i);
      CHECK(std::abs(found[i] - along.at(i, 8.5 + ahead)) <= 3.0 * 16.0 * 40.0 * epsilon);
    }
  }
}

TEST_CASE("bema: its weights are powers of lag + multiplier * step", "[reference][moving]") {
  bema const rule;
  CHECK(rule.weight(400) == Approx(1.0 / std::sqrt(410.0)).epsilon(1e-14));
  CHECK(rule.correction(400) == Approx(std::exp(-0.2 * std::log(410.0))).epsilon(1e-14));
  CHECK(bema{.min_weight = 0.25}.weight(400) == 0.25);
  CHECK(bema{.lag = 1.0, .multiplier = 0.0}.weight(800) == 1.0);
  CHECK(rule.due(400));
  CHECK(rule.due(800));
  CHECK_FALSE(rule.due(401));
  CHECK_FALSE(rule.due(0));
}

TEST_CASE("bema: before its first update it stays as it was, and counts from step begin",
          "[reference][moving]") {
  path along;
  bema const rule{.every = 4, .ema_power = 0.0, .bias_power = 0.0, .begin = 2};
  moving_average reference(along.policy, rule);
  along.follow(reference, 5);
  CHECK(averages(reference) == along.start);
  // Met at step 6. With both powers 0 the average is the policy and the whole way from step 2 is added:
  // at(6) + at(6) - at(2) = at(10). All numbers are multiples of 1/8, hence exact.
  along.follow(reference, 7);
  auto const found = averages(reference);
  for (std::size_t i = 0; i < 3; ++i) CHECK(found[i] == along.at(i, 10));
}

TEST_CASE("bema: without correction it is the average alone", "[reference][moving]") {
  path one;
  path two;
  moving_average corrected(one.policy,
                           bema{.every = 1, .ema_power = 0.0, .bias_power = 1000.0, .lag = 8.0});
  moving_average copied(two.policy, ema{.rate = 1.0});
  one.follow(corrected, 5);
  two.follow(copied, 5);
  CHECK(averages(corrected) == averages(copied));  // 13^-1000 is 0
}

TEST_CASE("tr_dpo: after a hard update all log-ratios are exactly 0 and DPO's loss is ln 2",
          "[reference][moving]") {
  auto const data = small::pairs(12);
  auto policy = small::policy<table>();
  moving_average reference(policy, tr_dpo{.alpha = 1.0, .every = 3});
  prefer::trainer run(policy, prefer::dpo{}, reference, data,
                      {.batch_size = 12, .steps = 9, .rate = 0.1});
  for (std::uint64_t step = 1; step <= 9; ++step) {
    auto const report = run.step();
    bool const begins = step % 3 == 1;  // the first step, and the one after each update
    CHECK((report.loss == Approx(std::numbers::ln2).epsilon(4 * epsilon)) == begins);
    CHECK((report.reward_margin == 0.0) == begins);
    double const distance = prefer::distance_to_reference(policy, reference, data.batch()).largest;
    CHECK((distance == 0.0) == (step % 3 == 0));
  }
}

TEST_CASE("moving_average: rules that say the same give the same bits", "[reference][moving]") {
  auto const data = small::pairs(10);
  auto const end_of = [&](auto const& rule) {
    auto policy = small::policy<table>();
    moving_average reference(policy, rule);
    prefer::trainer(policy, prefer::dpo{}, reference, data, small::in_short_steps).run();
    auto both = state_of(policy);
    auto const followed = averages(reference);
    both.insert(both.end(), followed.begin(), followed.end());
    return both;
  };
  CHECK(end_of(ema{.rate = 0.3}) == end_of(tr_dpo{.alpha = 0.3, .every = 1}));
  CHECK(end_of(ema{.rate = 1.0}) == end_of(tr_dpo{.alpha = 1.0, .every = 1}));
  CHECK(end_of(ema{.rate = 1.0}) ==
        end_of(bema{.every = 1, .ema_power = 0.0, .bias_power = 1000.0}));
  CHECK(end_of(ema{.rate = 0.3}) != end_of(ema{.rate = 0.31}));

  auto policy = small::policy<table>();
  auto start = prefer::frozen(policy);
  prefer::trainer(policy, prefer::dpo{}, start, data, small::in_short_steps).run();
  auto both = state_of(policy);
  auto const stayed = small::state_of(*std::make_unique<table>(start.policy()));
  both.insert(both.end(), stayed.begin(), stayed.end());
  CHECK(end_of(tr_dpo{.every = 1000}) == both);  // never due: frozen
}

TEST_CASE("moving_average: a run in pieces has the bits of one without a break",
          "[reference][moving]") {
  auto const data = small::pairs(10);
  auto const follows = [](auto rule) {
    return [rule](table& policy) { return moving_average(policy, rule); };
  };
  small::resumes_to_the_same_bits(prefer::dpo{}, data, follows(ema{.rate = 0.3}));
  small::resumes_to_the_same_bits(prefer::dpo{}, data, follows(tr_dpo{.every = 2}));
  small::resumes_to_the_same_bits(prefer::dpo{}, data, follows(tr_dpo{.alpha = 1.0, .every = 4}));
  // Pieces end before the first update, between updates and at them.
  small::resumes_to_the_same_bits(prefer::dpo{}, data, follows(bema{.every = 3}));
  small::resumes_to_the_same_bits(prefer::dpo{}, data, follows(bema{.every = 2, .begin = 3}));
  small::resumes_to_the_same_bits(prefer::kto{}, small::labelled(10), follows(ema{.rate = 0.3}));
}

TEST_CASE("moving_average: a checkpoint refuses another rule, another number and no rule",
          "[reference][moving]") {
  temporary_folder folder;
  std::string const file = folder / "checkpoint";
  auto const data = small::pairs(10);
  auto const save = [&](auto const& rule) {
    auto policy = small::policy<table>();
    moving_average reference(policy, rule);
    prefer::trainer(policy, prefer::dpo{}, reference, data).save(file);
  };
  auto const refusal = [&](auto const& rule) {
    auto policy = small::policy<table>();
    moving_average reference(policy, rule);
    prefer::trainer run(policy, prefer::dpo{}, reference, data);
    return message_of([&] { run.resume(file); });
  };
  save(tr_dpo{.alpha = 0.5, .every = 8});
  CHECK(refusal(tr_dpo{.alpha = 0.5, .every = 8}) == "");
  for (auto const& message :
       {refusal(tr_dpo{.alpha = 0.6, .every = 8}), refusal(tr_dpo{.alpha = 0.5, .every = 9}),
        refusal(ema{.rate = 0.5}), refusal(bema{.every = 8})}) {
    CHECK_THAT(message, Contains("made with another reference"));
  }
  auto policy = small::policy<table>();
  auto frozen = prefer::frozen(policy);
  prefer::trainer run(policy, prefer::dpo{}, frozen, data);
  CHECK_THAT(message_of([&] { run.resume(file); }), Contains("made with another reference"));

  // The reference checks for itself as well: a file may come another way than by a trainer.
  moving_average other(policy, tr_dpo{.alpha = 0.6, .every = 8});
  CHECK_THAT(message_of([&] { other.load(prefer::archive::read(file)); }),
             Contains("moving_average::load: " + file +
                      ": this checkpoint holds a reference with "
                      "another averaging rule"));
}

TEST_CASE("moving_average: of an adapter over a frozen base, the adapter alone moves",
          "[reference][moving]") {
  auto const data = small::pairs(10);
  adapted policy(small::policy<table>());
  moving_average reference(policy, ema{.rate = 0.25});
  auto const base_before = small::state_of(policy);
  prefer::trainer run(policy, prefer::dpo{}, reference, data, {.batch_size = 10, .rate = 0.1});
  run.step();

  auto inside = reference.policy();
  auto const theirs = policy.parameters();
  auto const ours = inside.parameters();
  CHECK(ours[0].value.data() == theirs[0].value.data());  // one base for both
  for (std::size_t i = 0; i < ours[0].value.size(); ++i) {
    CHECK(ours[0].value[i] == base_before[i]);
    CHECK(ours[1].value[i] == 0.25 * theirs[1].value[i]);  // from 0, and a power of two: exact
  }
  CHECK(state_of(policy) != base_before);

  prefer::archive_writer file;
  reference.save(file);
  auto const names = prefer::archive::parse(file.bytes(), "memory").names();
  CHECK(names == std::vector<std::string>{"reference/identity", "reference/value/adapter"});
}

TEST_CASE("moving_average: what trains is its own memory, or the reference is refused",
          "[reference][moving]") {
  // A handle to a shared table: a copy of it is no copy.
  struct handle {
    using value_type = double;
    std::shared_ptr<table> model = std::make_shared<table>(6, 5);
    void log_prob(choice_batch const& b, std::span<double> out) { model->log_prob(b, out); }
    void backward(choice_batch const& b, std::span<double const> c) { model->backward(b, c); }
    auto parameters() { return model->parameters(); }
  };
  handle policy;
  moving_average reference(policy, ema{});
  CHECK_THAT(message_of([&] { reference.after_step(policy, 1); }),
             Contains("parameter 'logits' of the reference is the policy's own memory"));
}

TEST_CASE("moving_average: refuses a policy of another shape", "[reference][moving]") {
  table larger(6, 4);
  moving_average reference(table(6, 5), ema{});
  CHECK(message_of([&] { reference.after_step(larger, 1); }) ==
        "moving_average::after_step: parameter 0 of the policy is 'logits' with 24 elements, "
        "expected 'logits' with 30");
}

TEST_CASE("moving_average: refuses rules without sense", "[reference][moving]") {
  table const start(1, 2);
  auto const refusal = [&](auto const& make) {
    return message_of([&] { moving_average(start, make()); });
  };
  double const nan = std::nan("");
  for (double const rate : {0.0, -0.1, 1.5, nan}) {
    CHECK_THAT(refusal([&] { return ema{.rate = rate}; }), Contains("ema: rate is "));
    CHECK_THAT(refusal([&] { return tr_dpo{.alpha = rate}; }), Contains("tr_dpo: alpha is "));
  }
  CHECK(refusal([] { return tr_dpo{.every = 0}; }) == "tr_dpo: every must be at least 1");
  CHECK(refusal([] { return bema{.every = 0}; }) == "bema: every must be at least 1");
  CHECK_THAT(refusal([] { return bema{.ema_power = -1.0}; }), Contains("ema_power"));
  CHECK_THAT(refusal([&] { return bema{.bias_power = nan}; }), Contains("bias_power"));
  CHECK_THAT(refusal([] { return bema{.lag = -1.0}; }), Contains("bema: lag is -1, expected"));
  CHECK_THAT(refusal([] { return bema{.multiplier = -1.0}; }), Contains("bema: multiplier is -1"));
  CHECK_THAT(refusal([] { return bema{.min_weight = 1.5}; }), Contains("bema: min_weight is 1.5"));
  CHECK(refusal([] { return bema{.every = 4, .lag = 0.0, .multiplier = 0.125}; }) ==
        "bema: lag + multiplier * step must be at least 1 at the first update");
  CHECK(refusal([] { return bema{.every = 8, .lag = 0.0, .multiplier = 0.125}; }) == "");
}

TEST_CASE("moving_average: the order of its blocks does not matter", "[reference][moving]") {
  prefer::tabular<float> start(20, 1000);  // 20,000 logits: three blocks
  prefer::tabular<float> policy(20, 1000, small::values<float>(20000));
  auto const followed = [&](prefer::executor threads) {
    moving_average reference(start, bema{.every = 1});
    reference.use(threads);
    reference.after_step(policy, 1);
    reference.after_step(policy, 2);
    auto copy = reference.policy();
    return state_of(copy);
  };
  auto const forwards = followed({});
  CHECK(forwards == followed(prefer::executor(nullptr, backwards, 3)));
  CHECK(forwards[19998] != 0.0f);
}

TEST_CASE("moving_average: a version tells when it has moved", "[reference][moving]") {
  path along;
  moving_average reference(along.policy, tr_dpo{.every = 3});
  CHECK(reference.version() == 0);
  along.follow(reference, 7);
  CHECK(reference.version() == 2);
  prefer::archive_writer file;
  reference.save(file);
  reference.load(prefer::archive::parse(file.bytes(), "memory"));
  CHECK(reference.version() == 3);
}

TEMPLATE_TEST_CASE("moving_average: keeps the policy's own type and logits", "[reference][moving]",
                   prefer::tabular<float>, prefer::tabular<double>,
                   prefer::matrix_factorization<float>) {
  using T = typename TestType::value_type;
  auto const data = small::pairs(10);
  auto policy = small::policy<TestType>();
  moving_average reference(policy, tr_dpo{.alpha = 1.0, .every = 1});
  STATIC_REQUIRE(std::is_same_v<typename decltype(reference)::value_type, T>);
  prefer::trainer(policy, prefer::dpo{}, reference, data, {.batch_size = 5, .rate = 0.1}).run();
  std::vector<T> ours(20);
  std::vector<T> theirs(20);
  policy.log_prob(data.batch(), ours);
  reference.log_prob(data.batch(), theirs);
  CHECK(ours == theirs);
  if constexpr (requires { policy.logit(data.batch(), ours); }) {
    policy.logit(data.batch(), ours);
    reference.logit(data.batch(), theirs);
    CHECK(ours == theirs);
  }
}

TEST_CASE("an adapter that is off is a reference: the policy's own weights without what trains",
          "[reference][adapter]") {
  // What a user writes. It asks the policy between its log_prob and its backward, so the policy answers for
  // its base without touching what backward needs.
  struct adapter_off {
    using value_type = double;
    adapted& policy;
    void log_prob(choice_batch const& batch, std::span<double> out) {
      policy.base_log_prob(batch, out);
    }
  };
  STATIC_REQUIRE(prefer::Reference<adapter_off, choice_batch>);
  STATIC_REQUIRE_FALSE(prefer::MovingReference<adapter_off>);
  auto const data = small::pairs(10);
  prefer::train_options const options{
      .batch_size = 4, .epochs = 3, .rate = 0.1, .reference_is_start = true};
  adapted one(small::policy<table>());
  adapter_off off{one};
  prefer::trainer(one, prefer::dpo{}, off, data, options).run();

  adapted two(small::policy<table>());
  auto copy = prefer::frozen(small::policy<table>());
  prefer::trainer(two, prefer::dpo{}, copy, data, options).run();
  CHECK(state_of(one) == state_of(two));
}

TEST_CASE(
    "moving_average: of a policy that stores another type than it says, and keeps a packed copy",
    "[reference][moving_average]") {
  small::adapter_policy policy({0.5f, -0.25f, 0.0f});
  prefer::moving_average average(policy, prefer::tr_dpo{.alpha = 0.5, .every = 2});
  auto const adapter = policy.parameters()[1].value;
  adapter[1] = 1.0f;
  policy.parameters_moved();
  std::size_t const told = average.policy().times_moved;
  average.after_step(policy, 1);
  CHECK(average.policy().times_moved == told);
  average.after_step(policy, 2);
  CHECK(average.policy().times_moved == told + 1);

  // Half of the way, in the sums that the average itself works on.
  small::adapter_policy half({0.5f, -0.25f, 0.0f});
  half.parameters()[1].value[1] = 0.5f;
  half.parameters_moved();
  prefer::choice_data data;
  data.add_pair(0, 0, 1);
  std::vector<double> ours(2), theirs(2);
  half.log_prob(data.batch(), ours);
  average.log_prob(data.batch(), std::span<double>(theirs));
  CHECK(ours == theirs);
}

TEST_CASE("moving_average: over tokens it is its copy, as a frozen policy is", "[reference]") {
  prefer::token_table sequences = prefer::token_table::all_of_length(2, 2);
  prefer::bigram<double> policy(2, sequences, {0.25, -0.5, 1.0, 0.0});
  moving_average<prefer::bigram<double>, ema> reference(policy, ema{.rate = 0.5});
  static_assert(prefer::TokenReference<decltype(reference), choice_batch>);
  policy.parameters()[0].value[0] += 2.0;
  reference.after_step(policy, 1);
  prefer::bigram<double> half_way(2, sequences, {1.25, -0.5, 1.0, 0.0});
  prefer::choice_data all;
  for (std::uint32_t y = 0; y != 4; ++y) all.add_labelled(0, y, true);
  std::vector<std::size_t> offset;
  reference.token_offsets(all.batch(), offset);
  std::vector<double> ours(offset.back()), expected(offset.back());
  reference.token_log_prob(all.batch(), std::span(ours));
  half_way.token_log_prob(all.batch(), std::span(expected));
  CHECK(ours == expected);
}
