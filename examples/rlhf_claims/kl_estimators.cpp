// SPDX-License-Identifier: MIT
#include <cmath>
#include <span>

#include <prefer/model/bigram.hpp>
#include <prefer/report/line_plot.hpp>
#include <prefer/scalar/dual.hpp>
#include <prefer/scalar/kl_estimators.hpp>
#include <prefer/text/number.hpp>

#include "learn.hpp"
#include "studies.hpp"
#include "world.hpp"

namespace rlhf_claims {

namespace {

std::vector<double> const distances = {0.125, 0.25, 0.5, 1.0};  // of logits, one deviation
constexpr char const* setting = "all sequences";

/// The gradient of each sequence's log-probability by the logits.
std::vector<numbers> score_functions(prefer::bigram<double>& policy, std::size_t completions) {
  std::vector<numbers> out;
  std::vector<std::uint32_t> const prompt = {0};
  std::vector<std::size_t> const offset = {0, 1};
  for (std::uint32_t y = 0; y != completions; ++y) {
    std::vector<std::uint32_t> const one = {y};
    prefer::choice_batch const batch{prompt, one, offset};
    auto const logits = policy.parameters()[0];
    for (double& g : logits.gradient) g = 0.0;
    numbers log_prob(1);
    policy.log_prob(batch, std::span(log_prob));
    numbers const unit = {1.0};
    policy.backward(batch, std::span<double const>(unit));
    policy.finish_backward();
    out.emplace_back(logits.gradient.begin(), logits.gradient.end());
  }
  return out;
}

double squared_length(numbers const& of) {
  double out = 0.0;
  for (double const each : of) out += each * each;
  return out;
}

/// Expectation and variance, the sum over coordinates, of factor_y * score function_y where y is drawn from the policy.
struct estimate {
  numbers mean;
  double variance = 0.0;
};
estimate estimated(numbers const& probability, std::vector<numbers> const& score,
                   numbers const& factor) {
  estimate out{numbers(score.front().size()), 0.0};
  for (std::size_t y = 0; y != score.size(); ++y) {
    for (std::size_t i = 0; i != out.mean.size(); ++i) {
      out.mean[i] += probability[y] * factor[y] * score[y][i];
    }
    out.variance += probability[y] * factor[y] * factor[y] * squared_length(score[y]);
  }
  out.variance -= squared_length(out.mean);
  return out;
}

std::vector<measured> one_seed(std::uint64_t seed) {
  sequence_world const world(seed);
  auto const& start = world.problem().start;
  std::vector<measured> out;
  numbers const direction = draw_normal(sequence_world::vocabulary * sequence_world::vocabulary,
                                        seed, drawn::features, 1.0);
  for (double const far : distances) {
    auto policy = world.policy();
    auto const logits = policy.parameters()[0];
    for (std::size_t i = 0; i != direction.size(); ++i) logits.value[i] += far * direction[i];
    auto const score = score_functions(policy, world.completions());
    numbers const log_prob = learner(policy, world.completions()).log_prob();
    numbers probability, ratio;
    for (std::size_t y = 0; y != log_prob.size(); ++y) {
      probability.push_back(std::exp(log_prob[y]));
      ratio.push_back(log_prob[y] - start[y]);
    }
    double const kl = divergence(log_prob, start);
    // The gradient of KL(policy || start): every number of a policy's completion counts through its probability alone, for
    // sum_y d p_y = 0.
    numbers const exact = estimated(probability, score, ratio).mean;
    double const length = std::sqrt(squared_length(exact));
    auto const add = [&](std::string const& method, auto const& estimator) {
      numbers value, slope;
      double mean = 0.0;
      for (double const r : ratio) {
        using S = prefer::dual<double, 1>;
        auto const at = estimator(S::variable(r, 0));
        value.push_back(at.value);
        slope.push_back(at.partial[0]);
      }
      double squares = 0.0;
      for (std::size_t y = 0; y != value.size(); ++y) {
        mean += probability[y] * value[y];
        squares += probability[y] * value[y] * value[y];
      }
      out.push_back({setting, method, far, "bias of the number", (mean - kl) / kl});
      out.push_back(
          {setting, method, far, "deviation of the number", std::sqrt(squares - mean * mean) / kl});
      for (bool const in_loss : {false, true}) {
        auto found = estimated(probability, score, in_loss ? slope : value);
        for (std::size_t i = 0; i != exact.size(); ++i) found.mean[i] -= exact[i];
        std::string const where = in_loss ? " in the loss" : " in the reward";
        out.push_back(
            {setting, method + where, far, "bias", std::sqrt(squared_length(found.mean)) / length});
        out.push_back({setting, method + where, far, "deviation",
                       std::sqrt(std::max(found.variance, 0.0)) / length});
      }
    };
    out.push_back({setting, "exact", far, "kl", kl});
    add("k1", [](auto const& r) { return prefer::kl_k1(r); });
    add("k2", [](auto const& r) { return prefer::kl_k2(r); });
    add("k3", [](auto const& r) { return prefer::kl_k3(r); });
  }
  return out;
}

constexpr char const* ways[] = {"k1 in the reward", "k2 in the reward", "k3 in the reward",
                                "k1 in the loss",   "k2 in the loss",   "k3 in the loss"};

std::vector<verdict> verdicts(found const& all) {
  std::vector<verdict> out;
  double const far = distances.back();
  for (char const* const way : ways) {
    auto const& bias = all.row(setting, way, "bias", far);
    out.push_back(
        {std::string(way) + " gives the gradient of KL(policy || start)",
         bias.mean < 1e-9 ? "holds" : "does not hold",
         "of the gradient's length its bias is " + in_words(bias) + ", at a KL divergence of " +
             in_words(all.row(setting, "exact", "kl", far), 2) + " nats, and its deviation " +
             in_words(all.row(setting, way, "deviation", far), 1) + " of one completion"});
  }
  return out;
}

void draw(std::string const& path, found const& all) {
  prefer::report::plot_row row;
  for (char const* const measure : {"bias", "deviation"}) {
    prefer::report::line_plot plot{
        .title = std::string(measure) + " of the gradient, one completion",
        .x = {.label = "KL(policy || start), nats", .scale = prefer::report::scale::log},
        .y = {.label = "of the gradient's length"},
        .width = 420};
    for (char const* const way : ways) {
      auto const kl = all.along(setting, "exact", "kl");
      auto const value = all.along(setting, way, measure);
      prefer::report::series line{.name = way, .dashed = std::string(way).ends_with("loss")};
      for (std::size_t i = 0; i != kl.size(); ++i) {
        line.points.push_back(
            {.x = kl[i].mean, .y = value[i].mean, .y_error = value[i].standard_error});
      }
      plot.add(std::move(line));
    }
    row.plots.push_back(std::move(plot));
  }
  row.write(path);
}

}  // namespace

study kl_estimators() {
  return {"kl_estimators", "Tang and Munos 2025, arXiv:2506.09477", one_seed, verdicts, draw};
}

}  // namespace rlhf_claims
