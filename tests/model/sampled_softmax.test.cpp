// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <prefer/model/item_scores.hpp>
#include <prefer/model/matrix_factorization.hpp>
#include <prefer/model/sampled_softmax.hpp>
#include <prefer/random/distributions.hpp>
#include <span>
#include <vector>

namespace {

using model = prefer::matrix_factorization<double>;
using sampled = prefer::sampled_softmax<model>;

model filled(std::size_t users, std::size_t items, std::size_t factors, double spread) {
  model out(users, items, factors);
  std::uint64_t step = 0;
  for (auto const& each : out.parameters()) {
    prefer::fill_normal(each.value, {.seed = 11, .step = step++}, 0.0, spread);
  }
  return out;
}

// Users 2, 0 and 2 again, with two, one and three items.
std::vector<std::uint32_t> const prompt = {2, 0, 2};
std::vector<std::uint32_t> const completion = {1, 6, 3, 0, 4, 6};
std::vector<std::size_t> const offset = {0, 2, 3, 6};
std::vector<double> const coefficient = {0.5, -0.2, 1.0, 0.25, -0.75, 0.1};

prefer::choice_batch batch(std::uint64_t draw) {
  return {.prompt = prompt, .completion = completion, .offset = offset, .draw = draw};
}

}  // namespace

TEST_CASE("sampled_softmax: with every item in the sample it is the softmax, value and gradient",
          "[model][sampled_softmax]") {
  model exact = filled(3, 7, 4, 1.0);
  model same = exact;
  sampled estimate(same, {.samples = 7});
  std::vector<double> expected(6);
  std::vector<double> found(6);
  exact.log_prob(batch(5), expected);
  exact.backward(batch(5), coefficient);
  exact.finish_backward();
  estimate.log_prob(batch(5), found);
  estimate.backward(batch(5), coefficient);
  estimate.finish_backward();
  for (std::size_t i = 0; i < 6; ++i) CHECK(found[i] == Approx(expected[i]).epsilon(1e-13));
  auto const theirs = exact.parameters();
  auto const ours = estimate.parameters();
  for (std::size_t p = 0; p < ours.size(); ++p) {
    INFO(ours[p].name);
    for (std::size_t i = 0; i < ours[p].gradient.size(); ++i) {
      CHECK(ours[p].gradient[i] == Approx(theirs[p].gradient[i]).margin(1e-13));
    }
  }
}

TEST_CASE("sampled_softmax: the gradient is that of its own estimate", "[model][sampled_softmax]") {
  model policy = filled(3, 7, 4, 1.0);
  sampled estimate(policy, {.samples = 3});
  std::vector<double> out(6);
  auto const value = [&] {
    estimate.log_prob(batch(2), out);
    double sum = 0;
    for (std::size_t i = 0; i < 6; ++i) sum += coefficient[i] * out[i];
    return sum;
  };
  value();
  estimate.backward(batch(2), coefficient);
  estimate.finish_backward();
  for (auto const& each : estimate.parameters()) {
    INFO(each.name);
    for (std::size_t i = 0; i < each.value.size(); ++i) {
      constexpr double h = 1e-5;  // the error of a central difference is h^2, of its rounding 1e-11
      double const at = each.value[i];
      each.value[i] = at + h;
      double const above = value();
      each.value[i] = at - h;
      double const below = value();
      each.value[i] = at;
      CHECK(each.gradient[i] == Approx((above - below) / (2 * h)).margin(1e-8));
    }
  }
}

TEST_CASE("sampled_softmax: parts of a batch add up to the same gradient, and draws differ",
          "[model][sampled_softmax]") {
  model whole = filled(3, 7, 4, 1.0);
  model cut = whole;
  sampled at_once(whole, {.samples = 3});
  sampled in_parts(cut, {.samples = 3});
  std::vector<double> out(6);
  at_once.log_prob(batch(1), out);
  at_once.backward(batch(1), coefficient);
  at_once.finish_backward();
  for (std::size_t g = 0; g < 3; ++g) {
    std::size_t const first = offset[g];
    std::size_t const count = offset[g + 1] - first;
    std::vector<std::size_t> const own = {0, count};
    prefer::choice_batch const part = {.prompt = std::span(prompt).subspan(g, 1),
                                       .completion = std::span(completion).subspan(first, count),
                                       .offset = own,
                                       .draw = 1};
    std::vector<double> some(count);
    in_parts.log_prob(part, some);
    for (std::size_t i = 0; i < count; ++i) CHECK(some[i] == out[first + i]);
    in_parts.backward(part, std::span(coefficient).subspan(first, count));
  }
  in_parts.finish_backward();
  for (std::size_t p = 0; p < 3; ++p) {
    auto const a = at_once.parameters()[p].gradient;
    auto const b = in_parts.parameters()[p].gradient;
    CHECK(std::vector(a.begin(), a.end()) == std::vector(b.begin(), b.end()));
  }
  std::vector<double> again(6);
  at_once.log_prob(batch(1), again);
  CHECK(again == out);
  at_once.log_prob(batch(2), again);
  CHECK(again != out);
}

TEST_CASE("sampled_softmax: its bias is the documented one", "[model][sampled_softmax]") {
  constexpr std::size_t n = 40;
  constexpr std::size_t m = 10;
  model policy = filled(1, n, 4, 0.5);
  std::vector<double> exact(n);
  policy.log_probs(0, exact);
  // c: deviation of exp(logit) over its mean; log_prob has the same one, whatever the constant.
  double mean = 0;
  double square = 0;
  for (double const each : exact) {
    mean += std::exp(each) / n;
    square += std::exp(2 * each) / n;
  }
  double const c2 = square / (mean * mean) - 1;
  double const predicted = (n - m) / (n - 1.0) * c2 / (2.0 * m);

  sampled estimate(policy, {.samples = m});
  std::vector<std::uint32_t> const one_prompt = {0};
  std::vector<std::uint32_t> const one_item = {3};
  std::vector<std::size_t> const ends = {0, 1};
  constexpr std::size_t draws = 20000;
  double bias = 0;
  double squares = 0;
  for (std::uint64_t d = 0; d < draws; ++d) {
    std::vector<double> out(1);
    estimate.log_prob({.prompt = one_prompt, .completion = one_item, .offset = ends, .draw = d},
                      out);
    double const off = out[0] - exact[3];
    bias += off / draws;
    squares += off * off / draws;
  }
  double const error = std::sqrt((squares - bias * bias) / draws);
  INFO("bias " << bias << " +- " << error << ", predicted " << predicted);
  CHECK(bias > 5 * error);  // log_prob is too high, as Jensen says
  // The next terms of the expansion are of the order (c^2 / m)^2.
  CHECK(std::abs(bias - predicted) < 5 * error + (c2 / m) * (c2 / m));
}

TEST_CASE("sampled_softmax: a sample of nothing, or of more than there is, is refused",
          "[model][sampled_softmax]") {
  model policy(1, 5, 2);
  CHECK_THROWS_WITH(sampled(policy, {.samples = 0}), Catch::Contains("greater than zero"));
  CHECK_THROWS_WITH(sampled(policy, {.samples = 6}),
                    Catch::Contains("samples is 6") && Catch::Contains("completions, 5"));
}

TEST_CASE("item_scores: of some users at a time, what log_probs says of each",
          "[model][item_scores]") {
  // 70 items are more than a strip; 30 users are more than a block.
  model policy = filled(30, 70, 5, 1.0);
  prefer::item_scores<double> const scores(policy);
  std::vector<double> found(7 * 70);
  std::vector<double> expected(70);
  for (std::size_t const first : {std::size_t{0}, std::size_t{11}, std::size_t{23}}) {
    scores.log_probs(first, 7, found);
    for (std::size_t r = 0; r < 7; ++r) {
      policy.log_probs(static_cast<std::uint32_t>(first + r), expected);
      for (std::size_t i = 0; i < 70; ++i) {
        CHECK(found[r * 70 + i] == Approx(expected[i]).epsilon(1e-13));
      }
    }
  }
  CHECK_THROWS_WITH(scores.log_probs(29, 2, found), Catch::Contains("not as many users"));
  CHECK_THROWS_WITH(scores.log_probs(0, 2, found), Catch::Contains("out"));
}
