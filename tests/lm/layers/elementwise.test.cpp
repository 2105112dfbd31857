// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include <prefer/lm/layers/embedding.hpp>
#include <prefer/lm/layers/rms_norm.hpp>
#include <prefer/lm/layers/rope.hpp>
#include <prefer/lm/layers/silu_multiply.hpp>
#include <prefer/parallel/thread_pool.hpp>

#include "numbers.hpp"
#include "support/finite_difference.hpp"
#include "support/message_of.hpp"

using namespace prefer;
using test::inner;
using test::moved;
using test::normal_numbers;
using test::view;

namespace {

// What a central difference of `value` along a direction says, beside the gradient's product with that direction.
template <class F>
void check_gradient(std::vector<double> const& at, std::vector<double> const& gradient,
                    F const& value) {
  auto const along = normal_numbers<double>(at.size(), 99);
  auto const there = [&](long double by) {
    return static_cast<long double>(value(moved(at, along, static_cast<double>(by))));
  };
  CHECK(
      inner(along, gradient) ==
      Approx(static_cast<double>(test::derivative(there, 0, 0x1p-9L))).epsilon(1e-8).margin(1e-8));
}

struct plain_matrix {
  std::size_t count, width;
  std::vector<double> value;
  std::size_t rows() const { return count; }
  std::size_t columns() const { return width; }
  void read_rows(std::size_t first, std::size_t number, double* to, std::size_t) const {
    std::memcpy(to, value.data() + first * width, number * width * sizeof(double));
  }
};

}  // namespace

TEST_CASE("rms_norm: divides by the root mean square, and its transpose agrees with differences",
          "[lm][rms_norm]") {
  constexpr std::size_t rows = 130;  // more than two blocks of the weight's gradient
  constexpr std::size_t width = 7;
  auto const x = normal_numbers<double>(rows * width, 1);
  auto const weight = normal_numbers<double>(width, 2);
  auto const d_y = normal_numbers<double>(rows * width, 3);
  std::vector<double> inverse(rows);
  auto const norm = [&](std::vector<double> const& from, std::vector<double> const& by) {
    std::vector<double> y(from.size());
    lm::rms_norm<double>(from, by, 1e-3, y, inverse, {});
    return y;
  };
  auto const y = norm(x, weight);
  double squares = 0;
  for (std::size_t i = 0; i != width; ++i) squares += x[i] * x[i];
  CHECK(y[3] == Approx(x[3] / std::sqrt(squares / width + 1e-3) * weight[3]).epsilon(1e-14));

  std::vector<double> d_x(x.size(), 0.5);
  std::vector<double> d_weight(width, 0.25);
  lm::rms_norm_backward<double>(x, weight, inverse, d_y, d_x, d_weight, {});
  thread_pool pool(2);
  std::vector<double> d_x_parallel(x.size(), 0.5);
  std::vector<double> d_weight_parallel(width, 0.25);
  lm::rms_norm_backward<double>(x, weight, inverse, d_y, d_x_parallel, d_weight_parallel,
                                pool.executor());
  CHECK(d_x == d_x_parallel);
  CHECK(d_weight == d_weight_parallel);
  for (double& each : d_x) each -= 0.5;  // what lay there stays
  for (double& each : d_weight) each -= 0.25;
  check_gradient(x, d_x, [&](auto const& there) { return inner(norm(there, weight), d_y); });
  check_gradient(weight, d_weight, [&](auto const& there) { return inner(norm(x, there), d_y); });
}

TEST_CASE("silu_multiply: is gate sigmoid(gate) up, and its transpose agrees with differences",
          "[lm][silu_multiply]") {
  constexpr std::size_t count = 37;
  auto const gate = normal_numbers<double>(count, 1);
  auto const up = normal_numbers<double>(count, 2);
  auto const d_out = normal_numbers<double>(count, 3);
  auto const multiply = [](std::vector<double> const& a, std::vector<double> const& b) {
    std::vector<double> out(a.size());
    lm::silu_multiply<double>(a, b, out, {});
    return out;
  };
  CHECK(multiply(gate, up)[36] ==
        Approx(gate[36] / (1 + std::exp(-gate[36])) * up[36]).epsilon(1e-14));
  std::vector<double> d_gate = d_out;  // in place
  std::vector<double> d_up(count);
  lm::silu_multiply_backward<double>(gate, up, d_gate, d_gate, d_up, {});
  check_gradient(gate, d_gate,
                 [&](auto const& there) { return inner(multiply(there, up), d_out); });
  check_gradient(up, d_up, [&](auto const& there) { return inner(multiply(gate, there), d_out); });
}

TEST_CASE("rope: turns planes by position times frequency, and turns them back", "[lm][rope]") {
  std::vector<double> const frequency = {1.0, 0.25};
  lm::rope<double> turn(frequency);
  turn.extend(8);
  std::vector<std::uint32_t> const position = {0, 7, 3};
  auto const x = normal_numbers<double>(3 * 2 * 4, 1);  // two heads of size 4
  auto y = x;
  turn.rotate(position, 2, y, {});
  for (std::size_t r = 0; r != 3; ++r) {
    for (std::size_t h = 0; h != 2; ++h) {
      for (std::size_t i = 0; i != 2; ++i) {
        std::size_t const at = r * 8 + h * 4 + i;
        double const angle = position[r] * frequency[i];
        CHECK(y[at] ==
              Approx(x[at] * std::cos(angle) - x[at + 2] * std::sin(angle)).epsilon(1e-14));
        CHECK(y[at + 2] ==
              Approx(x[at + 2] * std::cos(angle) + x[at] * std::sin(angle)).epsilon(1e-14));
      }
    }
  }
  turn.rotate_back(position, 2, y, {});
  for (std::size_t i = 0; i != x.size(); ++i) CHECK(y[i] == Approx(x[i]).epsilon(1e-14));
  std::vector<std::uint32_t> const beyond = {8};
  std::vector<double> row(8);
  CHECK(test::message_of([&] { turn.rotate(beyond, 2, row, {}); }) ==
        "rope: position 8, expected less than the 8 that are tabulated");
}

TEST_CASE("embedding: rows are gathered, and gradients come back to the row of their token",
          "[lm][embedding]") {
  plain_matrix const embedding{5, 3, normal_numbers<double>(15, 1)};
  std::vector<std::uint32_t> const tokens = {4, 1, 4, 0, 4};
  std::vector<double> rows(15);
  lm::gather_rows<double>(embedding, tokens, rows, {});
  CHECK(rows[2 * 3 + 1] == embedding.value[4 * 3 + 1]);
  auto const d_rows = normal_numbers<double>(15, 2);
  std::vector<double> gradient(15, 1.0);
  lm::scatter_rows<double>(tokens, d_rows, 3, gradient, {});
  for (std::size_t i = 0; i != 3; ++i) {
    CHECK(gradient[12 + i] == 1.0 + d_rows[i] + d_rows[6 + i] + d_rows[12 + i]);
    CHECK(gradient[3 + i] == 1.0 + d_rows[3 + i]);
    CHECK(gradient[6 + i] == 1.0);
  }
  std::vector<std::uint32_t> const outside = {0, 5};
  CHECK(test::message_of([&] {
          lm::gather_rows<double>(embedding, outside, std::span(rows).first(6), {});
        }) == "gather_rows: row 1 has token 5, expected less than 5");
}
