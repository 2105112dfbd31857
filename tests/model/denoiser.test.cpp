// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <numbers>
#include <vector>

#include <prefer/loss/diffusion_dpo.hpp>
#include <prefer/model/denoiser.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/trainer.hpp>

#include "choice_policy.hpp"

using namespace prefer;
using Catch::Matchers::Contains;

namespace {

template <class T>
denoiser<T> filled(std::size_t prompts, std::size_t completions, std::size_t dimensions,
                   denoiser_options const& options) {
  denoiser<T> policy(prompts, dimensions, test::numbers<T>(completions * dimensions, 31), options);
  test::fill_parameters(policy, 8, 0.7);
  return policy;
}

/// The log-probabilities of one group with a row and a draw.
template <class P>
std::vector<typename P::value_type> scores(P& policy, std::vector<std::uint32_t> const& completions,
                                           std::size_t row, std::uint64_t draw = 0) {
  std::vector<std::uint32_t> const prompt = {0};
  std::vector<std::size_t> const offset = {0, completions.size()};
  std::vector<std::size_t> const rows = {row};
  std::vector<typename P::value_type> out(completions.size());
  choice_batch const batch{
      .prompt = prompt, .completion = completions, .offset = offset, .row = rows, .draw = draw};
  policy.log_prob(batch, out);
  return out;
}

/// Mean E over `rows` rows, each with a completion of its own and noise of its own.
template <class P>
double mean_error(P& policy, std::size_t rows, std::uint64_t draw = 0) {
  choice_data data;
  for (std::size_t i = 0; i != rows; ++i) {
    data.add_labelled(0, static_cast<std::uint32_t>(i % policy.completions()), true);
  }
  test::part_of_batch part(data, 0, rows);
  part.batch.draw = draw;
  std::vector<typename P::value_type> out(rows);
  policy.log_prob(part.batch, out);
  double sum = 0;
  for (auto const each : out) sum -= static_cast<double>(each);
  return sum / static_cast<double>(rows);
}

/// `count` points, each near one of the centres in turn.
std::vector<float> points_near(std::vector<std::pair<double, double>> const& centres,
                               double deviation, std::size_t count, std::uint64_t seed) {
  std::vector<float> out(2 * count);
  fill_normal(std::span(out), {.seed = seed, .purpose = random_purpose::data}, 0.0, deviation);
  for (std::size_t i = 0; i != count; ++i) {
    out[2 * i] += static_cast<float>(centres[i % centres.size()].first);
    out[2 * i + 1] += static_cast<float>(centres[i % centres.size()].second);
  }
  return out;
}

void pretrain(denoiser<float>& policy, std::uint64_t steps, double rate) {
  constexpr std::size_t batch = 128;
  choice_data data;
  for (std::size_t i = 0; i != steps * batch; ++i) {
    data.add_labelled(0, static_cast<std::uint32_t>(i % policy.completions()), true);
  }
  auto const error = unpaired_loss([](auto const& example) { return -example.log_prob; });
  auto reference = frozen(policy);  // not read
  trainer run(policy, error, reference, data,
              {.batch_size = batch, .rate = learning_rate::cosine({.peak = rate, .steps = steps})});
  run.run();
}

/// A network whose prediction is exactly slope * x_d + shift_d: x = s(x) - s(-x) for s(x) = x *
/// sigmoid(x), through two layers.
denoiser<double> linear(denoiser_options options, std::vector<double> points, double slope,
                        double shift_0, double shift_1) {
  options.hidden = 4;
  denoiser<double> policy(1, 2, std::move(points), options);
  for (auto const& each : policy.parameters()) {
    for (double& value : each.value) value = 0;
    for (std::size_t d = 0; d != 2; ++d) {
      std::size_t const plus = 2 * d;
      std::size_t const minus = 2 * d + 1;
      if (each.name == "input") {
        each.value[d * 4 + plus] = 1;
        each.value[d * 4 + minus] = -1;
      } else if (each.name == "hidden") {
        each.value[plus * 4 + plus] = each.value[minus * 4 + minus] = 1;
        each.value[plus * 4 + minus] = each.value[minus * 4 + plus] = -1;
      } else if (each.name == "output") {
        each.value[plus * 2 + d] = slope;
        each.value[minus * 2 + d] = -slope;
      } else if (each.name == "output_bias") {
        each.value[d] = d == 0 ? shift_0 : shift_1;
      }
    }
  }
  return policy;
}

}  // namespace

TEST_CASE("denoiser: gradients agree with differences", "[policy][denoiser]") {
  test::check_gradient(filled<double>(3, 9, 2, {.hidden = 5, .steps = 7}), test::lists(12, 3, 9));
  test::check_gradient(filled<double>(1, 9, 1, {.hidden = 6, .steps = 4}), test::lists(6, 1, 9));
  test::check_gradient(filled<double>(2, 9, 3, {.hidden = 11, .steps = 7, .noise_samples = 3}),
                       test::lists(8, 2, 9));
}

TEST_CASE("denoiser: bits do not depend on cuts and threads", "[policy][denoiser]") {
  // 400 lists of 2.5 completions on average are more samples than lie in memory at once.
  test::check_bits(filled<float>(5, 40, 2, {.hidden = 20}), test::lists(400, 5, 40));
  test::check_bits(filled<float>(1, 40, 3, {.hidden = 33, .noise_samples = 5}),
                   test::lists(90, 1, 40));
  test::check_bits(filled<double>(5, 40, 2, {.hidden = 13, .noise_samples = 2}),
                   test::lists(90, 5, 40));
}

TEST_CASE("denoiser: predicting no noise, E is the mean square of the noise drawn",
          "[policy][denoiser]") {
  denoiser<double> policy(1, 3, {0.1, 0.2, 0.3}, {.steps = 9, .noise_samples = 2, .seed = 6});
  random_stream from({.seed = 6, .purpose = random_purpose::noise, .step = 17, .index = 123});
  double sum = 0;
  for (int k = 0; k != 2; ++k) {
    CHECK(below(from, 9) < 9);  // the time
    for (int d = 0; d != 3; ++d) {
      double const eps = normal(from);
      sum += eps * eps;
    }
  }
  CHECK(scores(policy, {0}, 123, 17)[0] == Approx(-sum / 6).epsilon(1e-14));
  // In expectation it is 1, with variance 2 / (rows * noise_samples * D); five deviations.
  CHECK(std::fabs(mean_error(policy, 4000) - 1) < 5 * std::sqrt(2.0 / (4000 * 6)));
}

TEST_CASE("denoiser: equal draws give equal numbers, others others", "[policy][denoiser]") {
  auto policy = filled<float>(1, 4, 2, {.hidden = 8});
  auto const first = scores(policy, {0, 3}, 5, 1);
  CHECK(scores(policy, {0, 3}, 5, 1) == first);
  CHECK(scores(policy, {3, 0}, 5, 1) == std::vector<float>{first[1], first[0]});
  CHECK(scores(policy, {0, 3}, 5, 2)[0] != first[0]);
  CHECK(scores(policy, {0, 3}, 6, 1)[0] != first[0]);
  auto other = filled<float>(1, 4, 2, {.hidden = 8, .seed = 2});
  CHECK(scores(other, {0, 3}, 5, 1)[0] != first[0]);
}

TEST_CASE("denoiser: noise is shared within a group", "[policy][denoiser]") {
  // Completions 0 and 1 are the same point: only other noise could tell them apart.
  denoiser<float> policy(1, 2, {0.3f, -0.8f, 0.3f, -0.8f, 1.0f, 0.5f},
                         {.hidden = 16, .noise_samples = 3});
  test::fill_parameters(policy, 3);
  auto reference = frozen(policy);
  test::fill_parameters(policy, 4);
  for (std::size_t row = 0; row != 20; ++row) {
    auto const ours = scores(policy, {0, 1, 2}, row, row);
    auto const theirs = scores(reference, {0, 1, 2}, row, row);
    CHECK(ours[0] == ours[1]);
    CHECK(ours[0] != ours[2]);
    CHECK((ours[0] - theirs[0]) - (ours[1] - theirs[1]) == 0);
    CHECK(ours[0] != theirs[0]);
  }
}

TEST_CASE("denoiser: its frozen copy sees the same noise, and DPO starts at log 2",
          "[policy][denoiser]") {
  auto policy = filled<float>(2, 30, 2, {.hidden = 16});
  auto reference = frozen(policy);
  choice_data data;
  for (std::uint32_t i = 0; i != 15; ++i) data.add_pair(i % 2, 2 * i, 2 * i + 1);
  for (std::uint64_t const draw : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{4000000000}}) {
    test::part_of_batch part(data, 0, 15);
    part.batch.draw = draw;
    CHECK(distance_to_reference(policy, reference, part.batch).largest == 0);
    std::vector<float> out(30);
    std::vector<float> chosen(15);
    std::vector<float> rejected(15);
    policy.log_prob(part.batch, out);
    for (std::size_t i = 0; i != 15; ++i) {
      chosen[i] = out[2 * i];
      rejected[i] = out[2 * i + 1];
    }
    completions const columns{.chosen = chosen, .rejected = rejected};
    auto const result =
        evaluate(diffusion_dpo{}, pair_columns{.policy = columns, .reference = columns});
    CHECK(result.loss == Approx(std::numbers::ln2).epsilon(1e-6));  // float
  }
}

TEST_CASE("denoiser: on Gaussian data the exact optimum has the exact least E",
          "[policy][denoiser]") {
  // x_0 ~ N(m, s^2) per coordinate, one noise level x = a x_0 + b eps. eps and x are jointly normal,
  // so the best prediction is linear, and v is what it leaves of the variance of eps:
  //   E[eps | x] = b (x - a m) / w,  w = a^2 s^2 + b^2,  v = 1 - b^2 / w = a^2 s^2 / w
  double const s = 0.6;
  double const m[2] = {0.7, -0.4};
  denoiser_options const one_step = {.steps = 1, .lowest_rate = 0.8, .highest_rate = 0.8};
  noise_schedule const level(1, 0.8, 0.8);
  double const a = level.signal(1);
  double const b = level.noise(1);
  double const w = a * a * s * s + b * b;
  double const v = a * a * s * s / w;
  CHECK(v == Approx(0.2270).epsilon(1e-3));  // a^2 = exp(-0.8) = 0.4493

  std::size_t const count = 10000;
  std::vector<double> points(2 * count);
  fill_normal(std::span(points), {.seed = 5, .purpose = random_purpose::data}, 0.0, s);
  for (std::size_t i = 0; i != points.size(); ++i) points[i] += m[i % 2];

  // Scaled by c, the prediction is off by (1 - c) of itself, which has variance 1 - v.
  for (double const c : {1.0, 0.8, 1.3, 0.0}) {
    auto policy = linear(one_step, points, c * b / w, -c * b * a * m[0] / w, -c * b * a * m[1] / w);
    double const expected = v + (1 - c) * (1 - c) * (1 - v);
    // The error is normal, so a mean of 2 * count squares has a relative deviation of sqrt(1 / count).
    CHECK(std::fabs(mean_error(policy, count) / expected - 1) < 5 / std::sqrt(double(count)));
  }
}

TEST_CASE("denoiser: maximum likelihood comes near the least E that there is",
          "[policy][denoiser]") {
  double const s = 0.5;
  constexpr std::size_t count = 20000;
  denoiser_options const options = {.hidden = 24, .steps = 10};
  denoiser<float> policy(1, 2, points_near({{0.6, -0.3}}, s, count, 7), options);
  noise_schedule const level(options.steps, options.lowest_rate, options.highest_rate);
  double least = 0;  // the mean over t of v_t, see above
  for (std::size_t t = 1; t <= 10; ++t) {
    double const a = level.signal(t);
    least += a * a * s * s / (a * a * s * s + level.noise(t) * level.noise(t)) / 10;
  }
  pretrain(policy, 400, 1e-2);
  // Other noise than that of training, and every point once. At the optimum a row's E has mean v_t and
  // variance v_t^2 given t, so its variance is E v^2 + Var v < 2 * least, because v < 1.
  double const deviation = std::sqrt(2 * least / count);
  double const reached = mean_error(policy, count, 1);
  INFO("least " << least << ", reached " << reached);
  CHECK(reached > least - 5 * deviation);
  CHECK(reached < least + 5 * deviation + 0.01);
}

TEST_CASE("denoiser: with the exact prediction one step of the sampler lands on the data",
          "[policy][denoiser]") {
  // All data in one point p: eps = (x - a p) / b.
  noise_schedule const level(1, 1.5, 1.5);
  double const a = level.signal(1);
  double const b = level.noise(1);
  auto policy = linear({.steps = 1, .lowest_rate = 1.5, .highest_rate = 1.5}, {0.25, -1.5}, 1 / b,
                       -0.25 * a / b, 1.5 * a / b);
  std::vector<double> out(2 * 50);
  std::vector<double> start;
  policy.sample(0, 3, std::span(out), [&](std::size_t t, auto x, auto eps) {
    CHECK(t == 1);
    start.assign(x.begin(), x.end());
    CHECK(eps[0] == Approx((x[0] - 0.25 * a) / b));
  });
  CHECK(start[0] != start[2]);
  for (std::size_t n = 0; n != 50; ++n) {
    CHECK(out[2 * n] == Approx(0.25).epsilon(1e-12));
    CHECK(out[2 * n + 1] == Approx(-1.5).epsilon(1e-12));
  }
}

TEST_CASE("denoiser: samples depend on seed and number alone", "[policy][denoiser]") {
  auto policy = filled<float>(2, 3, 2, {.hidden = 12, .steps = 6});
  std::vector<float> many(2 * 1000);
  std::vector<float> few(2 * 10);
  policy.sample(1, 9, many);
  policy.sample(1, 9, few);
  CHECK(std::equal(few.begin(), few.end(), many.begin()));
  thread_pool pool(2);
  for (auto const& threads : {test::backwards(), pool.executor()}) {
    policy.use(threads);
    std::vector<float> again(many.size());
    policy.sample(1, 9, again);
    CHECK(again == many);
    policy.use({});
  }
  policy.sample(1, 10, few);
  CHECK(few[0] != many[0]);
  policy.sample(0, 9, few);
  CHECK(few[0] != many[0]);
}

TEST_CASE("denoiser: preferences move its samples to the preferred mode", "[policy][denoiser]") {
  constexpr std::size_t data = 1024;
  constexpr std::size_t samples = 1000;
  // Even completions lie around A = (-1, 0), odd ones around B = (1, 0).
  denoiser<float> policy(1, 2, points_near({{-1, 0}, {1, 0}}, 0.25, data, 4),
                         {.hidden = 32, .steps = 20});
  auto const near_a = [&] {
    std::vector<float> out(2 * samples);
    policy.sample(0, 11, out);
    std::size_t count = 0;
    for (std::size_t n = 0; n != samples; ++n) {
      // Within four deviations of the data: to the left of B is not enough.
      if (std::hypot(out[2 * n] + 1, out[2 * n + 1]) < 1) ++count;
    }
    return static_cast<double>(count) / samples;
  };
  pretrain(policy, 400, 1e-2);
  double const before = near_a();

  choice_data pairs;
  for (std::uint32_t i = 0; i != 60 * 128; ++i) {
    pairs.add_pair(0, 2 * i % data, (2 * i + 2 * (i / 512) + 1) % data);
  }
  auto reference = frozen(policy);
  trainer run(policy, diffusion_dpo{.beta = 20.0}, reference, pairs,
              {.batch_size = 128, .rate = 1e-3, .reference_is_start = true});
  step_report last;
  run.run([&](step_report const& report) {
    if (report.step == 1) CHECK(report.loss == Approx(std::numbers::ln2).epsilon(1e-6));
    last = report;
  });
  double const after = near_a();
  INFO("share near A " << before << " -> " << after);
  // A share of n samples has a deviation of at most 1 / (2 sqrt(n)), a difference sqrt(2) of that.
  double const deviation = std::sqrt(0.5 / samples);
  CHECK(std::fabs(before - 0.5) < 0.1 + 5 * deviation);
  CHECK(after > before + 10 * deviation);
  CHECK(last.accuracy > 0.7);
  CHECK(last.loss < std::numbers::ln2);
}

TEST_CASE("denoiser: a reference that depends on the draw says so", "[policy][denoiser]") {
  STATIC_REQUIRE(DependsOnDraw<denoiser<float>>);
  STATIC_REQUIRE(DependsOnDraw<frozen<denoiser<float>>>);
  STATIC_REQUIRE(!DependsOnDraw<cached<float>>);
}

TEST_CASE("denoiser: what does not fit is refused", "[policy][denoiser]") {
  auto policy = filled<float>(2, 3, 2, {.hidden = 4});
  std::vector<std::uint32_t> const prompt = {1};
  std::vector<std::uint32_t> const bad_prompt = {2};
  std::vector<std::uint32_t> const both = {0, 2};
  std::vector<std::uint32_t> const bad = {0, 3};
  std::vector<std::size_t> const offset = {0, 2};
  std::vector<std::size_t> const row = {4};
  std::vector<float> two(2);
  std::vector<float> three(3);
  auto const refused = [&](choice_batch const& batch, std::vector<float>& column,
                           std::string const& why) {
    CHECK_THROWS_WITH(policy.log_prob(batch, column), Contains("denoiser::log_prob: " + why));
    CHECK_THROWS_WITH(policy.backward(batch, column), Contains("denoiser::backward: " + why));
    CHECK_THROWS_AS(policy.log_prob(batch, column), precondition_error);
  };
  refused({bad_prompt, both, offset, row}, two, "prompt of group 0 is 2, expected less than 2");
  refused({prompt, bad, offset, row}, two, "completion 1 is 3, expected less than 3");
  refused({prompt, both, offset, row}, three, "the column of values has 3 elements, expected 2");
  refused({prompt, both, offset}, two, "the batch has 0 row numbers, which address its noise");
  choice_batch late{prompt, both, offset, row};
  late.draw = std::uint64_t{1} << 32;
  CHECK_THROWS_WITH(policy.log_prob(late, two), Contains("step must be below 2^32"));

  std::vector<float> four(4);
  CHECK_THROWS_WITH(policy.predict_noise(0, 0, four, four), Contains("t is 0, expected 1 to 50"));
  CHECK_THROWS_WITH(policy.predict_noise(0, 51, four, four), Contains("t is 51"));
  CHECK_THROWS_WITH(policy.predict_noise(2, 1, four, four), Contains("prompt is 2"));
  CHECK_THROWS_WITH(policy.predict_noise(0, 1, four, two), Contains("out has 2"));
  CHECK_THROWS_WITH(policy.sample(0, 1, three),
                    Contains("3 coordinates, expected a multiple of 2"));
  CHECK_THROWS_WITH(policy.sample(2, 1, two), Contains("denoiser::sample: prompt is 2"));

  CHECK_THROWS_WITH(denoiser<float>(0, 2, two), Contains("prompts must"));
  CHECK_THROWS_WITH(denoiser<float>(1, 0, two), Contains("dimensions must"));
  CHECK_THROWS_WITH(denoiser<float>(1, 2, three), Contains("points has 3 elements"));
  CHECK_THROWS_WITH(denoiser<float>(1, 2, {}), Contains("points has 0 elements"));
  CHECK_THROWS_WITH(denoiser<float>(1, 2, two, {.hidden = 0}), Contains("hidden must"));
  CHECK_THROWS_WITH(denoiser<float>(1, 2, two, {.noise_samples = 0}),
                    Contains("noise_samples must"));
  CHECK_THROWS_WITH(denoiser<float>(1, 2, two, {.steps = 0}), Contains("steps must"));
}

TEST_CASE("denoiser: is a value", "[policy][denoiser]") {
  test::check_value_semantics(filled<float>(4, 5, 2, {.hidden = 6}), test::lists(10, 4, 5));
}
