// SPDX-License-Identifier: MIT
#include "listed.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include <prefer/model/tabular.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>

namespace rlhf_claims {

namespace {

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

prefer::random_purpose purpose(drawn what) {
  return static_cast<prefer::random_purpose>(
      static_cast<std::uint16_t>(prefer::random_purpose::user) + static_cast<std::uint16_t>(what));
}

std::uint32_t draw(numbers const& cumulative, prefer::random_stream& stream) {
  double const u = prefer::uniform01(stream) * cumulative.back();
  auto const found = std::upper_bound(cumulative.begin(), cumulative.end(), u);
  return static_cast<std::uint32_t>(std::min(found, cumulative.end() - 1) - cumulative.begin());
}

/// How often each pair was drawn, with the average weight 1.
weighted_pairs counted(numbers const& count, std::size_t completions) {
  weighted_pairs out;
  double total = 0.0;
  for (std::size_t k = 0; k != count.size(); ++k) {
    if (count[k] == 0.0) continue;
    out.chosen.push_back(static_cast<std::uint32_t>(k / completions));
    out.rejected.push_back(static_cast<std::uint32_t>(k % completions));
    out.weight.push_back(count[k]);
    total += count[k];
  }
  for (double& each : out.weight) each *= static_cast<double>(out.size()) / total;
  out.drawn = static_cast<std::size_t>(total);
  return out;
}

}  // namespace

numbers draw_normal(std::size_t count, std::uint64_t seed, drawn what, double spread) {
  numbers out(count);
  prefer::fill_normal(std::span(out), {.seed = seed, .purpose = purpose(what)}, 0.0, spread);
  return out;
}

double expected(numbers const& log_prob, numbers const& value) {
  double out = 0.0;
  for (std::size_t y = 0; y != value.size(); ++y) out += std::exp(log_prob[y]) * value[y];
  return out;
}

double divergence(numbers const& p, numbers const& q) {
  double out = 0.0;
  for (std::size_t y = 0; y != p.size(); ++y) {
    if (double const mass = std::exp(p[y]); mass != 0.0) out += mass * (p[y] - q[y]);
  }
  return std::max(out, 0.0);  // below by rounding
}

numbers tilted(numbers const& start, numbers const& reward, double tilt) {
  numbers scores = start;
  for (std::size_t y = 0; y != scores.size(); ++y) scores[y] += tilt * reward[y];
  numbers out(scores.size());
  prefer::tabular<double>(1, out.size(), std::move(scores)).log_probs(0, std::span(out));
  return out;
}

numbers tilted_to(numbers const& start, numbers const& reward, double kl) {
  double low = 0.0;
  double high = 1.0;
  while (divergence(tilted(start, reward, high), start) < kl && high < 1e6) {
    low = high;
    high *= 2.0;
  }
  for (int i = 0; i != 50; ++i) {
    double const middle = 0.5 * (low + high);
    (divergence(tilted(start, reward, middle), start) < kl ? low : high) = middle;
  }
  return tilted(start, reward, high);
}

std::vector<bool> weighted_pairs::seen(std::size_t completions) const {
  std::vector<bool> out(completions);
  for (auto const y : chosen) out[y] = true;
  for (auto const y : rejected) out[y] = true;
  return out;
}

std::vector<weighted_pairs> draw_pairs(listed_problem const& of,
                                       std::vector<std::size_t> const& counts, std::uint64_t seed) {
  std::size_t const n = of.start.size();
  numbers cumulative = of.start;
  double sum = 0.0;
  for (double& each : cumulative) each = sum += std::exp(each);
  numbers count(n * n);
  std::vector<weighted_pairs> out;
  std::size_t done = 0;
  for (std::size_t const until : counts) {
    for (; done < until; ++done) {
      prefer::random_stream stream(
          {.seed = seed, .purpose = prefer::random_purpose::data, .index = done});
      std::uint32_t const first = draw(cumulative, stream);
      std::uint32_t second = first;
      while (second == first) second = draw(cumulative, stream);
      bool const wins = prefer::uniform01(stream) < sigmoid(of.reward[first] - of.reward[second]);
      count[wins ? first * n + second : second * n + first] += 1.0;
    }
    out.push_back(counted(count, n));
  }
  return out;
}

weighted_pairs draw_pairs(listed_problem const& of, std::size_t count, std::uint64_t seed) {
  return draw_pairs(of, std::vector{count}, seed).front();
}

weighted_pairs resampled(weighted_pairs const& of, std::uint64_t seed, std::uint64_t number) {
  numbers cumulative = of.weight;
  double sum = 0.0;
  for (double& each : cumulative) each = sum += each;
  numbers count(of.size());
  for (std::size_t i = 0; i != of.drawn; ++i) {
    prefer::random_stream stream(
        {.seed = seed, .purpose = purpose(drawn::resample), .step = number, .index = i});
    count[draw(cumulative, stream)] += 1.0;
  }
  weighted_pairs out;
  out.drawn = of.drawn;
  for (std::size_t k = 0; k != of.size(); ++k) {
    if (count[k] == 0.0) continue;
    out.chosen.push_back(of.chosen[k]);
    out.rejected.push_back(of.rejected[k]);
    out.weight.push_back(count[k]);
  }
  for (double& each : out.weight) {
    each *= static_cast<double>(out.size()) / static_cast<double>(of.drawn);
  }
  return out;
}

weighted_pairs every_pair(numbers const& writer, numbers const& reward) {
  weighted_pairs out;
  auto const n = static_cast<std::uint32_t>(writer.size());
  for (std::uint32_t a = 0; a != n; ++a) {
    for (std::uint32_t b = 0; b != n; ++b) {
      if (a == b) continue;
      out.chosen.push_back(a);
      out.rejected.push_back(b);
    }
  }
  out.weight.resize(out.size());
  weigh_by(writer, reward, out);
  return out;
}

void weigh_by(numbers const& writer, numbers const& reward, weighted_pairs& pairs) {
  double total = 0.0;
  for (std::size_t k = 0; k != pairs.size(); ++k) {
    auto const a = pairs.chosen[k];
    auto const b = pairs.rejected[k];
    pairs.weight[k] = std::exp(writer[a] + writer[b]) * sigmoid(reward[a] - reward[b]);
    total += pairs.weight[k];
  }
  for (double& each : pairs.weight) each *= static_cast<double>(pairs.size()) / total;
}

double pair_accuracy(listed_problem const& of, numbers const& score) {
  double right = 0.0;
  double all = 0.0;
  for (std::size_t a = 0; a != score.size(); ++a) {
    for (std::size_t b = 0; b != a; ++b) {
      double const mass = std::exp(of.start[a] + of.start[b]);
      all += mass;
      // A tie is a miss.
      if ((score[a] - score[b]) * (of.reward[a] - of.reward[b]) > 0.0) right += mass;
    }
  }
  return right / all;
}

}  // namespace rlhf_claims
