// SPDX-License-Identifier: MIT
//
// prefer in a program that keeps its numbers in plain memory: a model, a loop and an optimizer of one's own. What prefer
// adds is one call between the forward and the backward pass.
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <vector>

#include <prefer/loss/dpo.hpp>
#include <prefer/objective/evaluate.hpp>

namespace {

constexpr std::size_t prompts = 50, items = 20, per_prompt = 4, pairs = prompts * per_prompt;

struct preference {
  std::size_t prompt, chosen, rejected;
};

/// What your program would read.
std::vector<preference> preferences() {
  std::vector<preference> out;  // one item of each prompt is liked better than others
  for (std::size_t i = 0; i < pairs; ++i) {
    std::size_t const prompt = i / per_prompt, liked = 3 * prompt % items;
    out.push_back({prompt, liked, (liked + 1 + i % per_prompt) % items});
  }
  return out;
}

/// Your model: a row of logits for each prompt.
float log_prob(float const* logits, std::size_t item) {
  float sum = 0.0f;
  for (std::size_t k = 0; k < items; ++k) sum += std::exp(logits[k]);
  return logits[item] - std::log(sum);
}
/// Adds coefficient * d log_prob / d logits, which is 1 for the item, less the probability of each.
void backward(float const* logits, std::size_t item, float coefficient, float* gradient) {
  for (std::size_t k = 0; k < items; ++k) {
    gradient[k] += coefficient * ((k == item ? 1.0f : 0.0f) - std::exp(log_prob(logits, k)));
  }
}

}  // namespace

int main() {
  auto const data = preferences();
  std::vector<float> logits(prompts * items), gradient(logits.size());
  std::vector<float> policy(2 * pairs), reference(2 * pairs), coefficient(2 * pairs);  // [pairs, 2]
  auto const side = [](std::vector<float>& table, std::size_t s) {
    return prefer::strided(table.data() + s, pairs, 2);
  };
  auto const forward = [&](std::vector<float>& out) {
    for (std::size_t i = 0; i < pairs; ++i) {
      out[2 * i] = log_prob(&logits[data[i].prompt * items], data[i].chosen);
      out[2 * i + 1] = log_prob(&logits[data[i].prompt * items], data[i].rejected);
    }
  };
  forward(reference);  // the model as it was before training

  for (int step = 0; step <= 200; ++step) {
    forward(policy);
    double const loss = prefer::evaluate_into(
        prefer::dpo{.beta = 0.1},
        prefer::pair_columns{.policy = {side(policy, 0), side(policy, 1)},
                             .reference = {side(reference, 0), side(reference, 1)}},
        prefer::pair_results{.chosen = side(coefficient, 0), .rejected = side(coefficient, 1)});
    if (step % 50 == 0) std::printf("step %3d  loss %.4f\n", step, loss);

    gradient.assign(gradient.size(), 0.0f);
    for (std::size_t i = 0; i < pairs; ++i) {
      std::size_t const row = data[i].prompt * items;
      backward(&logits[row], data[i].chosen, coefficient[2 * i], &gradient[row]);
      backward(&logits[row], data[i].rejected, coefficient[2 * i + 1], &gradient[row]);
    }
    for (std::size_t k = 0; k < logits.size(); ++k) logits[k] -= 100.0f * gradient[k];
  }
}
