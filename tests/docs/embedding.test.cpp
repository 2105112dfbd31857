// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <exception>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/prefer.hpp>
#include <string>
#include <thread>
#include <vector>

namespace embedding {

/// Stands for a model of another library: log_prob = x * weight, with its own backward.
struct my_model {
  float weight = 1.0f;
  float gradient = 0.0f;

  std::vector<float> forward(std::vector<float> const& x) const {
    std::vector<float> out;
    for (float const each : x) out.push_back(weight * each);
    return out;
  }
  void backward(std::vector<float> const& x, std::vector<float> const& coefficient) {
    for (std::size_t i = 0; i < x.size(); ++i) gradient += coefficient[i] * x[i];
  }
};

/// Stands for somebody's thread pool.
class my_pool {
 public:
  template <class F>
  void parallel_for(std::size_t count, F const& f) {
    std::thread other([&] {
      for (std::size_t i = 1; i < count; i += 2) f(i);
    });
    for (std::size_t i = 0; i < count; i += 2) f(i);
    other.join();
  }
};

// [executor]
void run_on_my_pool(void* pool, std::size_t chunks, prefer::executor::chunk_function body,
                    void* work) {
  static_cast<my_pool*>(pool)->parallel_for(chunks, [&](std::size_t chunk) { body(work, chunk); });
}
// [/executor]

}  // namespace embedding

using namespace embedding;

TEST_CASE("embedding: coefficients go into the backward pass of a model of one's own",
          "[docs][embedding]") {
  my_model model;
  my_model const start;
  std::vector<float> const chosen = {-1.0f, -2.0f};
  std::vector<float> const rejected = {-1.5f, -1.0f};

  // [step]
  std::vector<float> const policy_chosen = model.forward(chosen);
  std::vector<float> const policy_rejected = model.forward(rejected);
  std::vector<float> const reference_chosen = start.forward(chosen);
  std::vector<float> const reference_rejected = start.forward(rejected);

  std::vector<float> coefficient_chosen(policy_chosen.size());
  std::vector<float> coefficient_rejected(policy_rejected.size());
  double const loss = prefer::evaluate_into(
      prefer::dpo{.beta = 0.1},
      prefer::pair_columns{
          .policy = {.chosen = policy_chosen, .rejected = policy_rejected},
          .reference = {.chosen = reference_chosen, .rejected = reference_rejected}},
      prefer::pair_results{.chosen = coefficient_chosen, .rejected = coefficient_rejected});

  model.backward(chosen, coefficient_chosen);  // d mean loss / d log_prob
  model.backward(rejected, coefficient_rejected);
  // [/step]

  CHECK(loss == Approx(std::log(2.0)).epsilon(1e-6));  // the policy is the reference
  // coefficients -+ 0.1 * 0.5 / 2 per pair, times the differences 0.5 and -1
  CHECK(model.gradient == Approx(-0.025 * (0.5 - 1.0)).epsilon(1e-5));
}

TEST_CASE("embedding: a missing column is one sentence", "[docs][embedding]") {
  std::vector<float> const chosen = {-1.0f};
  std::vector<float> const rejected = {-2.0f};
  std::string said;
  // [errors]
  try {
    (void)prefer::evaluate(
        prefer::dpo{.beta = 0.1},
        prefer::pair_columns{.policy = {.chosen = chosen, .rejected = rejected}});
  } catch (prefer::precondition_error const& error) {
    said = error.what();  // evaluate: this loss reads policy, reference; the batch lacks reference
  }
  // [/errors]
  CHECK(said == "evaluate: this loss reads policy, reference; the batch lacks reference");
}

TEST_CASE("embedding: the columns of a batch can be promised at compile time",
          "[docs][embedding]") {
  std::vector<float> const chosen = {-1.0f};
  std::vector<float> const rejected = {-2.0f};
  // [promise]
  using without_lengths =
      prefer::with_columns<prefer::column_name::policy | prefer::column_name::reference,
                           prefer::pair_columns>;
  without_lengths const batch(
      prefer::pair_columns{.policy = {.chosen = chosen, .rejected = rejected},
                           .reference = {.chosen = rejected, .rejected = rejected}});
  auto const result = prefer::evaluate(prefer::dpo{.beta = 0.1}, batch);
  // prefer::evaluate(prefer::simpo{}, batch) does not compile: simpo reads lengths
  // [/promise]
  CHECK(result.loss == Approx(std::log1p(std::exp(-0.1))).epsilon(1e-6));
}

TEST_CASE("embedding: threads do not change a bit", "[docs][embedding]") {
  std::vector<float> chosen(40000);
  std::vector<float> rejected(40000);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    chosen[i] = -1.0f - static_cast<float>(i % 97) * 0.01f;
    rejected[i] = -1.0f - static_cast<float>(i % 89) * 0.02f;
  }
  prefer::pair_columns const batch{.policy = {.chosen = chosen, .rejected = rejected},
                                   .reference = {.chosen = rejected, .rejected = rejected}};
  my_pool mine;
  // [threads]
  prefer::thread_pool pool(2);  // the calling thread and one worker
  prefer::executor const theirs(&mine, &run_on_my_pool, 2);

  auto const serial = prefer::evaluate(prefer::dpo{}, batch);
  auto const pooled = prefer::evaluate(prefer::dpo{}, batch, {.threads = pool.executor()});
  auto const on_mine = prefer::evaluate(prefer::dpo{}, batch, {.threads = theirs});
  // [/threads]
  CHECK(pooled.loss == serial.loss);
  CHECK(pooled.value == serial.value);
  CHECK(on_mine.loss == serial.loss);
  CHECK(on_mine.coefficient.chosen == serial.coefficient.chosen);
}
