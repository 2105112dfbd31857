// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/train/trainer.hpp>
#include <span>
#include <stdexcept>
#include <train/small_problem.hpp>
#include <vector>

// What the tests of the trainer share.

namespace trainer_subjects {

using prefer::choice_batch;
using prefer::choice_data;
using prefer::step_report;
using prefer::train_options;
using prefer::trainer;
using small::message_of;
using small::state_of;

using table = prefer::tabular<double>;
using prefer::no_reference;

inline double const infinity = std::numeric_limits<double>::infinity();
inline float const not_a_number = std::numeric_limits<float>::quiet_NaN();
inline constexpr std::size_t all_rows = std::numeric_limits<std::size_t>::max();

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
  constexpr state prepare(auto const& batch, memory& kept) const {
    double const mean = batch.means([](auto const& pair) { return pair.chosen.log_prob; });
    kept.batches += 1.0;
    kept.mean += (mean - kept.mean) / kept.batches;
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
  no_reference<double> reference;
  choice_data data;
  two_by_hand() {
    data.add_pair(0, 1, 0);
    data.add_pair(0, 0, 1);
  }
};

template <class P, class L, class D>
constexpr bool trains_on =
    requires(P& p, L l, no_reference<double>& r, D&& d) { trainer(p, l, r, static_cast<D&&>(d)); };

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

}  // namespace trainer_subjects
