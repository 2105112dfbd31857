// SPDX-License-Identifier: MIT
#include "gao.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <prefer/loss/bradley_terry.hpp>
#include <prefer/metrics/best_of_n.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/reward/reward_model.hpp>

#include "learn.hpp"

namespace rlhf_claims {

namespace {

constexpr double start_spread = 1.5;

double distance(optimised_point const& of) { return std::sqrt(of.kl); }

}  // namespace

optimised_path best_of_n_path(listed_problem const& of, numbers const& learned) {
  double const truth = expected(of.start, of.reward);
  double const score = expected(of.start, learned);
  optimised_path out;
  for (std::size_t n = 1; n <= 4096; n = n < 8 ? n + 1 : n + n / 4) {
    auto const policy = prefer::exact_best_of_n(of.start, learned, n);
    out.push_back({.at = static_cast<double>(n),
                   .kl = std::max(policy.kl, 0.0),  // below by rounding
                   .truth = policy.expected(of.reward) - truth,
                   .learned = policy.score - score});
  }
  return out;
}

optimised_path optimum_path(listed_problem const& of, numbers const& learned) {
  double const truth = expected(of.start, of.reward);
  double const score = expected(of.start, learned);
  optimised_path out = {{}};
  for (int k = -16; k <= 27; ++k) {
    double const tilt = std::exp2(0.25 * k);
    auto const policy = tilted(of.start, learned, tilt);
    out.push_back({.at = tilt,
                   .kl = divergence(policy, of.start),
                   .truth = expected(policy, of.reward) - truth,
                   .learned = expected(policy, learned) - score});
  }
  return out;
}

fitted_curve fit_curve(optimised_path const& path, curve form) {
  auto const second = [form](double d) {
    return form == curve::best_of_n ? -d * d : d > 0.0 ? -d * std::log(d) : 0.0;
  };
  auto const share = [&](std::size_t i) {  // half of the way to each neighbour
    double const before = distance(path[i == 0 ? 0 : i - 1]);
    double const after = distance(path[i + 1 == path.size() ? i : i + 1]);
    return 0.5 * (after - before);
  };
  double aa = 0.0, ab = 0.0, bb = 0.0, ay = 0.0, by = 0.0, all = 0.0;
  for (std::size_t i = 0; i != path.size(); ++i) {
    double const a = distance(path[i]);
    double const b = second(a);
    aa += share(i) * a * a;
    ab += share(i) * a * b;
    bb += share(i) * b * b;
    ay += share(i) * a * path[i].truth;
    by += share(i) * b * path[i].truth;
    all += share(i);
  }
  double const determinant = aa * bb - ab * ab;
  fitted_curve out{.alpha = (bb * ay - ab * by) / determinant,
                   .beta = (aa * by - ab * ay) / determinant};
  double squares = 0.0;
  for (std::size_t i = 0; i != path.size(); ++i) {
    double const d = distance(path[i]);
    double const left = path[i].truth - (out.alpha * d + out.beta * second(d));
    squares += share(i) * left * left;
  }
  out.residual = std::sqrt(squares / all);
  out.turn = out.beta <= 0.0            ? std::numeric_limits<double>::quiet_NaN()
             : form == curve::best_of_n ? out.alpha / (2.0 * out.beta)
                                        : std::exp(out.alpha / out.beta - 1.0);
  if (out.turn > distance(path.back())) out.turn = std::numeric_limits<double>::quiet_NaN();
  return out;
}

numbers fitted_reward(weighted_pairs const& pairs, std::size_t completions) {
  learner model(prefer::logit_score(prefer::tabular<double>(1, completions)), completions);
  model.train(pair_objective(prefer::bradley_terry{}, pairs, nullptr),
              reward_ridge / static_cast<double>(pairs.drawn));
  return model.log_prob();
}

listed_problem over_optimised_problem(std::uint64_t seed) {
  listed_problem out{.start = draw_normal(64, seed, drawn::start, start_spread),
                     .reward = draw_normal(64, seed, drawn::reward, 1.0)};
  out.start = tilted(out.start, out.reward, 1.0);
  return out;
}

}  // namespace rlhf_claims
