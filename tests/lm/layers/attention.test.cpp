// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <vector>

#include <prefer/lm/layers/attention_backward.hpp>
#include <prefer/parallel/thread_pool.hpp>

#include "numbers.hpp"
#include "support/finite_difference.hpp"
#include "support/message_of.hpp"

using namespace prefer;
using lm::attention_heads;
using lm::token_segment;
using test::inner;
using test::normal_numbers;

namespace {

using segments = std::vector<token_segment>;

std::size_t rows_of(segments const& of) { return of.back().first_row + of.back().rows; }

template <class T>
struct case_of {
  attention_heads how;
  segments tree;
  std::vector<T> q, k, v, d_out;
};

template <class T>
case_of<T> random_case(attention_heads how, segments tree) {
  std::size_t const of_q = rows_of(tree) * how.heads * how.head_size;
  std::size_t const of_k = rows_of(tree) * how.key_value_heads * how.head_size;
  return {how,
          tree,
          normal_numbers<T>(of_q, 1),
          normal_numbers<T>(of_k, 2),
          normal_numbers<T>(of_k, 3),
          normal_numbers<T>(of_q, 4)};
}

template <class T>
struct computed {
  std::vector<T> out, log_sum_exp, d_q, d_k, d_v;
};

template <class T>
computed<T> forward(case_of<T> const& of, executor threads = {}) {
  computed<T> to;
  to.out.resize(of.q.size());
  to.log_sum_exp.resize(rows_of(of.tree) * of.how.heads);
  lm::attention<T>(of.how, of.tree, of.q, of.k, of.v, to.out, to.log_sum_exp, threads);
  return to;
}

template <class T>
computed<T> forward_and_backward(case_of<T> const& of, executor threads = {}) {
  auto to = forward(of, threads);
  // Overwritten, whatever lies there.
  to.d_q.assign(of.q.size(), T(7));
  to.d_k.assign(of.k.size(), T(7));
  to.d_v.assign(of.v.size(), T(7));
  lm::attention_backward<T>(of.how, of.tree,
                            {.q = of.q,
                             .k = of.k,
                             .v = of.v,
                             .out = to.out,
                             .log_sum_exp = to.log_sum_exp,
                             .d_out = of.d_out,
                             .d_q = to.d_q,
                             .d_k = to.d_k,
                             .d_v = to.d_v},
                            threads);
  return to;
}

// The definition: every row asks every row whether it sees it.
template <class T>
std::vector<double> by_definition(case_of<T> const& of) {
  auto const& [how, tree, q, k, v, d_out] = of;
  std::vector<double> out(q.size());
  for (std::size_t s = 0; s != tree.size(); ++s) {
    for (std::size_t r = 0; r != tree[s].rows; ++r) {
      std::vector<std::size_t> seen;
      for (std::uint32_t above = static_cast<std::uint32_t>(s); above != token_segment::no_parent;
           above = tree[above].parent) {
        for (std::size_t j = 0; j != (above == s ? r + 1 : tree[above].rows); ++j) {
          std::size_t const distance =
              tree[s].first_position + r - (tree[above].first_position + j);
          if (how.window == 0 || distance < how.window) seen.push_back(tree[above].first_row + j);
        }
      }
      for (std::size_t h = 0; h != how.heads; ++h) {
        std::size_t const kv = h * how.key_value_heads / how.heads;
        std::size_t const at = ((tree[s].first_row + r) * how.heads + h) * how.head_size;
        double total = 0;
        for (std::size_t const j : seen) {
          std::size_t const key = (j * how.key_value_heads + kv) * how.head_size;
          double score = 0;
          for (std::size_t i = 0; i != how.head_size; ++i) {
            score += static_cast<double>(q[at + i]) * static_cast<double>(k[key + i]);
          }
          double const p = std::exp(score / std::sqrt(static_cast<double>(how.head_size)));
          total += p;
          for (std::size_t i = 0; i != how.head_size; ++i)
            out[at + i] += p * static_cast<double>(v[key + i]);
        }
        for (std::size_t i = 0; i != how.head_size; ++i) out[at + i] /= total;
      }
    }
  }
  return out;
}

template <class A, class B>
double largest_gap(A const& a, B const& b) {
  double gap = 0;
  for (std::size_t i = 0; i != a.size(); ++i) {
    gap = std::fmax(gap, std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return gap;
}

// A prompt of 70 tokens with two completions that begin with 3 tokens alike and go on with 80 and 1; a row that is alone;
// a prompt without anything after it.
segments tree_of_pairs() {
  return {{0, 70, 0, token_segment::no_parent},
          {70, 3, 70, 0},
          {73, 80, 73, 1},
          {153, 1, 73, 1},
          {154, 1, 0, token_segment::no_parent},
          {155, 9, 0, token_segment::no_parent}};
}

}  // namespace

TEST_CASE("attention: is the softmax of the definition, grouped, over trees, in a window",
          "[lm][attention]") {
  for (std::size_t const window : {0u, 5u, 66u}) {
    INFO("window " << window);
    // Sizes that fill no lane, and heads that share.
    auto const of = random_case<double>({4, 2, 6, window}, tree_of_pairs());
    // About 150 terms, each rounded a few times, of numbers of size 1.
    CHECK(largest_gap(forward(of).out, by_definition(of)) < 1e-13);
    auto const single = random_case<float>({3, 1, 16, window}, tree_of_pairs());
    CHECK(largest_gap(forward(single).out, by_definition(single)) < 1e-5);
  }
}

TEST_CASE("attention_backward: agrees with differences along random directions",
          "[lm][attention]") {
  for (std::size_t const window : {0u, 66u}) {
    INFO("window " << window);
    auto const of = random_case<double>({4, 2, 6, window}, tree_of_pairs());
    auto const gradient = forward_and_backward(of);
    auto const check = [&](std::vector<double> case_of<double>::*which,
                           std::vector<double> const& found, std::uint64_t seed) {
      auto const along = normal_numbers<double>((of.*which).size(), seed);
      auto const value = [&](long double by) {
        auto there = of;
        there.*which = test::moved(of.*which, along, static_cast<double>(by));
        return static_cast<long double>(inner(forward(there).out, of.d_out));
      };
      // h^4 / 480 of the fifth derivative and 3 epsilon / h of the value, which is some hundreds.
      CHECK(inner(along, found) == Approx(static_cast<double>(test::derivative(value, 0, 0x1p-9L)))
                                       .epsilon(1e-7)
                                       .margin(1e-7));
    };
    check(&case_of<double>::q, gradient.d_q, 11);
    check(&case_of<double>::k, gradient.d_k, 12);
    check(&case_of<double>::v, gradient.d_v, 13);
  }
}

TEST_CASE("attention: a shared prompt is each sequence alone, bit for bit, and gradients add up",
          "[lm][attention]") {
  for (std::size_t const window : {0u, 40u}) {
    auto const together = random_case<float>({6, 2, 16, window}, tree_of_pairs());
    auto const shared = forward_and_backward(together);
    // Rows of the two sequences in the tree.
    std::vector<std::vector<std::size_t>> sequences(2);
    for (std::size_t r = 0; r != 73; ++r) {
      for (auto& each : sequences) each.push_back(r);
    }
    for (std::size_t r = 73; r != 153; ++r) sequences[0].push_back(r);
    sequences[1].push_back(153);
    std::vector<double> d_k(together.k.size());
    std::vector<double> d_v(together.v.size());
    bool rows_are_equal = true;
    for (auto const& rows : sequences) {
      case_of<float> alone{
          together.how, {{0, rows.size(), 0, token_segment::no_parent}}, {}, {}, {}, {}};
      for (std::size_t const row : rows) {
        auto const take = [row](std::vector<float> const& from, std::vector<float>& to,
                                std::size_t width) {
          for (std::size_t i = 0; i != width; ++i) to.push_back(from[row * width + i]);
        };
        take(together.q, alone.q, 96);
        take(together.k, alone.k, 32);
        take(together.v, alone.v, 32);
        take(together.d_out, alone.d_out, 96);
        // A row of the shared prompt sends its gradient back once.
        if (&rows == &sequences[1] && row < 73) {
          for (std::size_t i = 0; i != 96; ++i) alone.d_out[alone.d_out.size() - 96 + i] = 0;
        }
      }
      auto const separate = forward_and_backward(alone);
      for (std::size_t i = 0; i != rows.size(); ++i) {
        for (std::size_t c = 0; c != 96; ++c) {
          rows_are_equal &= separate.out[i * 96 + c] == shared.out[rows[i] * 96 + c];
        }
        for (std::size_t c = 0; c != 32; ++c) {
          d_k[rows[i] * 32 + c] += static_cast<double>(separate.d_k[i * 32 + c]);
          d_v[rows[i] * 32 + c] += static_cast<double>(separate.d_v[i * 32 + c]);
        }
      }
    }
    CHECK(rows_are_equal);
    // Float's rounding of about 150 terms of size 1.
    auto const of_sequences = [](std::vector<float> all) { return all.resize(154 * 32), all; };
    CHECK(largest_gap(of_sequences(shared.d_k), d_k) < 2e-5);
    CHECK(largest_gap(of_sequences(shared.d_v), d_v) < 2e-5);
  }
}

TEST_CASE("attention: threads change no bit", "[lm][attention]") {
  auto const of = random_case<float>({6, 2, 16, 0}, tree_of_pairs());
  auto const serial = forward_and_backward(of);
  thread_pool pool(3);
  auto const parallel = forward_and_backward(of, pool.executor());
  CHECK(serial.out == parallel.out);
  CHECK(serial.log_sum_exp == parallel.log_sum_exp);
  CHECK(serial.d_q == parallel.d_q);
  CHECK(serial.d_k == parallel.d_k);
  CHECK(serial.d_v == parallel.d_v);
}

TEST_CASE("attention: a row that sees itself alone gives its value", "[lm][attention]") {
  auto const of = random_case<double>({2, 1, 3, 0}, {{0, 1, 0, token_segment::no_parent}});
  auto const result = forward_and_backward(of);
  for (std::size_t i = 0; i != 6; ++i) CHECK(result.out[i] == of.v[i % 3]);
  // Its probability is 1 whatever q and k are.
  for (double const each : result.d_q) CHECK(each == Approx(0.0).margin(1e-15));
  for (std::size_t i = 0; i != 3; ++i) CHECK(result.d_v[i] == of.d_out[i] + of.d_out[3 + i]);
}

TEST_CASE("attention: what does not fit together is said in a sentence", "[lm][attention]") {
  auto const message = [](attention_heads how, segments tree) {
    auto const of = random_case<double>({2, 1, 2, 0}, {{0, 4, 0, token_segment::no_parent}});
    std::vector<double> out(of.q.size());
    std::vector<double> log_sum_exp(8);
    return test::message_of(
        [&] { lm::attention<double>(how, tree, of.q, of.k, of.v, out, log_sum_exp, {}); });
  };
  attention_heads const how{2, 1, 2, 0};
  CHECK(message({2, 3, 2, 0}, {}) ==
        "attention: 2 heads of size 2 cannot share 3 key and value heads evenly");
  CHECK(message(how, {{0, 3, 0, token_segment::no_parent}}) ==
        "attention: all segments together has 3 elements, expected 4");
  CHECK(message(how, {{0, 3, 0, token_segment::no_parent}, {2, 1, 0, token_segment::no_parent}}) ==
        "attention: segment 1 begins at row 2, expected 3, where the one before ends");
  CHECK(message(how, {{0, 3, 0, token_segment::no_parent}, {3, 1, 2, 0}}) ==
        "attention: segment 1 begins at position 2, expected 3, where its parent ends");
  CHECK(message(how, {{0, 3, 0, 0}}) ==
        "attention: segment 0 has the parent 0, expected one before it");
}
