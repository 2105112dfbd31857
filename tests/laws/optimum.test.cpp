// SPDX-License-Identifier: MIT
//
// Where preference losses end, against the closed form of KL-regularised reward maximisation.
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <prefer/loss/chi_po.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/f_divergence.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/trainer.hpp>
#include <train/small_problem.hpp>
#include <vector>

namespace {

using numbers = std::vector<double>;
using table = prefer::tabular<double>;

constexpr std::size_t actions = 5;
numbers const reward = {0.3, 1.2, -0.5, 0.8, 2.0};
numbers const start = {0.4, 0.25, 0.2, 0.1, 0.05};

double sigmoid_by_hand(double x) { return 1 / (1 + std::exp(-x)); }

numbers log_of(numbers const& p) {
  numbers out;
  for (double const each : p) out.push_back(std::log(each));
  return out;
}

// ref * exp(R / beta) / Z, in log space: R / beta reaches 40.
numbers optimum(double beta) {
  numbers log_p = log_of(start);
  for (std::size_t i = 0; i < actions; ++i) log_p[i] += reward[i] / beta;
  double largest = log_p[0];
  for (double const each : log_p) largest = std::max(largest, each);
  double z = 0;
  for (double const each : log_p) z += std::exp(each - largest);
  numbers out;
  for (double const each : log_p) out.push_back(std::exp(each - largest) / z);
  return out;
}

numbers probabilities(table const& policy) {
  numbers out(policy.completions());
  policy.log_probs(0, out);
  for (double& each : out) each = std::exp(each);
  return out;
}

double largest_difference(numbers const& a, numbers const& b) {
  double out = 0;
  for (std::size_t i = 0; i < a.size(); ++i) out = std::max(out, std::abs(a[i] - b[i]));
  return out;
}

// Every ordered pair of actions once: its weight is how often people who follow Bradley and Terry
// prefer the first.
struct population {
  prefer::choice_data pairs;
  numbers weight;
  population() {
    for (std::uint32_t i = 0; i < actions; ++i) {
      for (std::uint32_t j = 0; j < actions; ++j) {
        if (i == j) continue;
        pairs.add_pair(0, i, j);
        weight.push_back(sigmoid_by_hand(reward[i] - reward[j]));
      }
    }
  }
};

// With d = beta * log-ratio, the loss summed over all pairs is that of a complete graph whose edges have
// the curvature sigmoid'(d_i - d_j) <= 1/4. Its Hessian is a Laplacian with eigenvalues up to 5/4, and
// of at least 5 * sigmoid'(2.5) = 0.35 at the optimum, so a descent of 1 / (5/4) on d shrinks the error by
// 1 - 0.35 / 1.25 = 0.72 a step: 200 steps are far more than enough. The mean over 20 pairs and the change
// from d to logits make it 20 / (5/4) / beta^2 on logits.
constexpr int steps = 400;
double descent_rate(double beta) { return 16 / (beta * beta); }

// Probabilities after descents of a loss over all pairs, by its coefficients. `rate(u)` is the step on the logit of an
// action whose log-ratio is u.
template <class L, class Rate>
numbers end_of_descent(L const& loss, Rate const& rate, int how_often = steps) {
  population const people;
  table policy(1, actions, log_of(start));
  auto reference = prefer::frozen(policy);
  std::size_t const count = people.pairs.size();
  auto const batch = people.pairs.batch();
  numbers log_prob(2 * count);
  numbers reference_log_prob(2 * count);
  reference.log_prob(batch, reference_log_prob);
  auto const every_second = [](numbers const& all, std::size_t first) {
    numbers out;
    for (std::size_t i = first; i < all.size(); i += 2) out.push_back(all[i]);
    return out;
  };
  auto const reference_chosen = every_second(reference_log_prob, 0);
  auto const reference_rejected = every_second(reference_log_prob, 1);
  auto const logits = policy.parameters()[0];
  for (int step = 0; step < how_often; ++step) {
    policy.log_prob(batch, log_prob);
    auto const chosen = every_second(log_prob, 0);
    auto const rejected = every_second(log_prob, 1);
    auto const result = prefer::evaluate(
        loss, prefer::pair_columns{.policy = {chosen, rejected},
                                   .reference = {reference_chosen, reference_rejected},
                                   .weight = people.weight});
    numbers coefficient;
    for (std::size_t i = 0; i < count; ++i) {
      coefficient.push_back(result.coefficient.chosen[i]);
      coefficient.push_back(result.coefficient.rejected[i]);
    }
    policy.backward(batch, coefficient);
    policy.finish_backward();
    auto const now = probabilities(policy);
    double largest_step = 0;
    for (std::size_t i = 0; i < actions; ++i) {
      double const change = rate(std::log(now[i] / start[i])) * logits.gradient[i];
      largest_step = std::max(largest_step, std::abs(change));
      logits.value[i] -= change;
      logits.gradient[i] = 0;
    }
    // At rest. A descent that shrinks its error by 1/1000 a step is then within 1000 such steps of the end.
    if (largest_step < 1e-14) break;
  }
  return probabilities(policy);
}

// ref * inverse((R - lambda) / beta), where `inverse` inverts the derivative f' of a divergence's generator and lambda
// makes the sum 1: by bisection, because the sum falls with lambda. lambda is above `least`.
template <class Inverse>
numbers optimum_under(double beta, Inverse const& inverse, double least) {
  auto const at = [&](double lambda) {
    numbers out;
    for (std::size_t i = 0; i < actions; ++i) {
      out.push_back(start[i] * inverse((reward[i] - lambda) / beta));
    }
    return out;
  };
  double low = least;
  double high = least + 100.0;
  for (int i = 0; i < 200; ++i) {
    double const middle = 0.5 * (low + high);
    numbers const p = at(middle);
    (std::accumulate(p.begin(), p.end(), 0.0) > 1.0 ? low : high) = middle;
  }
  return at(high);
}

}  // namespace

TEST_CASE("optimum: DPO over all pairs ends at ref * exp(R / beta) / Z", "[laws][optimum]") {
  for (double const beta : {0.05, 0.1, 0.5, 1.0, 5.0}) {
    auto const end =
        end_of_descent(prefer::dpo{.beta = beta}, [&](double) { return descent_rate(beta); });
    INFO("beta " << beta);
    CHECK(largest_difference(end, optimum(beta)) < 1e-10);
  }
}

TEST_CASE("optimum: f-DPO over all pairs ends at ref * (f')^-1((R - lambda) / beta)",
          "[laws][optimum]") {
  // The same descent on d = beta * phi(u): on logits its curvature has phi'(u)^2 besides. So the step of an action is
  // divided by that where it is above 1, and by 4 because phi' is another one on the way. Where it is below, down to
  // 0.06, the descent takes its time.
  int const slow_steps = 8000;
  auto const rate = [](double beta, double slope) {
    return descent_rate(beta) / 4 / std::max(slope * slope, 1.0);
  };
  double const best = 2.0;  // the largest reward: f' is negative for these divergences
  for (double const beta : {0.5, 1.0, 5.0}) {
    INFO("beta " << beta);
    auto const by_forward_kl = end_of_descent(
        prefer::f_dpo<prefer::forward_kl>{.loss = {.beta = beta}},
        [&](double u) { return rate(beta, std::exp(-u)); }, slow_steps);
    CHECK(largest_difference(by_forward_kl, optimum_under(
                                                beta, [](double y) { return -1 / y; }, best)) <
          1e-10);

    auto const by_js = end_of_descent(
        prefer::f_dpo<prefer::js_divergence>{.loss = {.beta = beta}},
        [&](double u) { return rate(beta, sigmoid_by_hand(-u)); }, slow_steps);
    CHECK(largest_difference(by_js, optimum_under(
                                        beta, [](double y) { return 1 / std::expm1(-y); }, best)) <
          1e-10);

    auto const by_alpha = end_of_descent(
        prefer::f_dpo<prefer::alpha_divergence>{.loss = {.beta = beta}},
        [&](double u) { return rate(beta, std::exp(-u / 2)); }, slow_steps);
    CHECK(largest_difference(by_alpha, optimum_under(
                                           beta, [](double y) { return 4 / (y * y); }, best)) <
          1e-10);
  }
}

TEST_CASE("optimum: chi-PO over all pairs ends at ref * W(exp((R - lambda) / beta))",
          "[laws][optimum]") {
  // z + log z = y; as log z + exp(log z) = y it is convex, and Newton's iteration comes from one side.
  auto const inverse = [](double y) {
    double log_z = y < 1.0 ? y : std::log(y);
    for (int i = 0; i < 50; ++i) log_z -= (log_z + std::exp(log_z) - y) / (1 + std::exp(log_z));
    return std::exp(log_z);
  };
  for (double const beta : {0.5, 1.0, 5.0}) {
    auto const end = end_of_descent(prefer::chi_po{.beta = beta}, [&](double u) {
      double const slope = 1 + std::exp(u);
      return descent_rate(beta) / (slope * slope);
    });
    INFO("beta " << beta);
    CHECK(largest_difference(end, optimum_under(beta, inverse, -50.0)) < 1e-10);
  }
}

TEST_CASE("optimum: the trainer gets there too", "[laws][optimum]") {
  // A data set's weights are float, so each pair is there twice: with its weight as float, and with what
  // that leaves, so that the sum is right to 2^-48.
  population people;
  prefer::choice_data twice;
  for (std::size_t i = 0; i < people.weight.size(); ++i) {
    auto most = static_cast<float>(people.weight[i]);
    if (most > people.weight[i]) most = std::nextafter(most, 0.0f);  // what is left is a weight too
    for (float const part : {most, static_cast<float>(people.weight[i] - most)}) {
      twice.add_pair(0, people.pairs.completion[2 * i], people.pairs.completion[2 * i + 1]);
      twice.weight.push_back(part);
    }
  }
  for (double const beta : {0.05, 0.1, 0.5, 1.0, 5.0}) {
    table policy(1, actions, log_of(start));
    auto reference = prefer::frozen(policy);
    // Twice the rate above, because the mean is over twice the rows.
    prefer::trainer(policy, prefer::dpo{.beta = beta}, reference, twice,
                    {.batch_size = twice.size(),
                     .steps = steps,
                     .rate = 2 * descent_rate(beta) * small::gradient_descent_scale,
                     .optimizer = small::gradient_descent,
                     .reference_is_start = true})
        .run();
    INFO("beta " << beta);
    CHECK(largest_difference(probabilities(policy), optimum(beta)) < 1e-10);
  }
}

TEST_CASE("optimum: reward and divergence fall with beta as the theory's numbers do",
          "[laws][optimum]") {
  // E[R] and KL(pi || ref) of the closed form to three digits, computed apart from this library; and
  // KL = E[R] / beta - log Z.
  struct point {
    double beta;
    double reward;
    double divergence;
  };
  for (auto const& [beta, expected_reward, divergence] :
       {point{0.05, 2.000, 2.996}, point{0.1, 1.999, 2.980}, point{0.5, 1.378, 0.841},
        point{1, 0.967, 0.233}, point{5, 0.593, 0.009}}) {
    population const people;
    table policy(1, actions, log_of(start));
    auto reference = prefer::frozen(policy);
    prefer::choice_data data = people.pairs;
    for (double const w : people.weight) data.weight.push_back(static_cast<float>(w));
    prefer::trainer(policy, prefer::dpo{.beta = beta}, reference, data,
                    {.batch_size = data.size(),
                     .steps = steps,
                     .rate = descent_rate(beta) * small::gradient_descent_scale,
                     .optimizer = small::gradient_descent})
        .run();
    auto const p = probabilities(policy);
    double mean = 0;
    double kl = 0;
    double z = 0;
    for (std::size_t i = 0; i < actions; ++i) {
      mean += p[i] * reward[i];
      kl += p[i] * std::log(p[i] / start[i]);
      z += start[i] * std::exp(reward[i] / beta);
    }
    INFO("beta " << beta);
    CHECK(std::abs(mean - expected_reward) < 0.0005);
    CHECK(std::abs(kl - divergence) < 0.0005);
    CHECK(kl == Approx(mean / beta - std::log(z)).margin(1e-6));
  }
}

TEST_CASE("optimum: IPO over two actions ends at a margin of (2 p - 1) / (2 beta)",
          "[laws][optimum]") {
  // p (h - t)^2 + (1 - p) (h + t)^2 with t = 1 / (2 beta) is least at h = (2 p - 1) t, of any size: IPO does
  // not follow the log-odds of p to infinity.
  for (double const beta : {0.1, 1.0}) {
    for (double const p : {0.5, 0.75, 1.0}) {  // exact as weights
      table policy(1, 2, {0.25, -0.5});
      auto reference = prefer::frozen(policy);
      prefer::choice_data data;
      data.add_pair(0, 0, 1);
      data.add_pair(0, 1, 0);
      data.weight = {static_cast<float>(p), static_cast<float>(1 - p)};
      // The mean is (h - (2 p - 1) t)^2 / 2 and a constant, with h the difference of two logits: on h, this
      // rate shrinks the error by 1 - 2 * 0.4 a step.
      prefer::trainer(policy, prefer::ipo_sum{.beta = beta}, reference, data,
                      {.steps = 60,
                       .rate = 0.4 * small::gradient_descent_scale,
                       .optimizer = small::gradient_descent})
          .run();
      auto const after = small::state_of(policy);
      INFO("beta " << beta << ", p " << p);
      CHECK(after[0] - after[1] - 0.75 == Approx((2 * p - 1) / (2 * beta)).margin(1e-10));
    }
  }
}

TEST_CASE("optimum: DPO with label smoothing e ends at a reward margin of log((1 - e) / e)",
          "[laws][optimum]") {
  // d/dz of softplus(-z) + e z is e - sigmoid(-z); without smoothing z would grow for ever.
  for (double const beta : {0.1, 1.0}) {
    for (double const e : {0.05, 0.2, 0.4}) {
      table policy(1, 2, {0.25, -0.5});
      auto reference = prefer::frozen(policy);
      prefer::choice_data data;
      data.add_pair(0, 0, 1);
      // Curvature in z between e (1 - e) >= 0.0475 at the end and 1/4; the rate on z is 2.
      prefer::trainer(policy, prefer::dpo{.beta = beta, .label_smoothing = e}, reference, data,
                      {.steps = 600,
                       .rate = 1 / (beta * beta) * small::gradient_descent_scale,
                       .optimizer = small::gradient_descent})
          .run();
      auto const after = small::state_of(policy);
      INFO("beta " << beta << ", label_smoothing " << e);
      CHECK(beta * (after[0] - after[1] - 0.75) == Approx(std::log((1 - e) / e)).margin(1e-10));
    }
  }
}
