// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/train/clip.hpp>
#include <vector>

namespace {

template <class T>
struct tensor {
  explicit tensor(std::vector<T> gradient_values)
      : value(gradient_values.size()), gradient(std::move(gradient_values)) {}
  prefer::parameter<T> parameter(bool frozen = false) {
    return {.name = "tensor", .value = value, .gradient = gradient, .frozen = frozen};
  }
  std::vector<T> value;
  std::vector<T> gradient;
};

}  // namespace

TEST_CASE("clip_gradient_norm: parameters count as one vector", "[train][clip]") {
  tensor<double> first({3, 0});
  tensor<double> second({-4});
  std::vector const parameters = {first.parameter(), second.parameter()};
  CHECK(prefer::gradient_norm(parameters) == 5);
  CHECK(prefer::clip_gradient_norm(parameters, 2.5) == 5);
  CHECK(first.gradient == std::vector<double>{1.5, 0});
  CHECK(second.gradient == std::vector<double>{-2});
}

TEST_CASE("clip_gradient_norm: a gradient within the limit keeps its bits", "[train][clip]") {
  tensor<float> only({3, 4});
  std::vector const parameters = {only.parameter()};
  CHECK(prefer::clip_gradient_norm(parameters, 5) == 5);
  CHECK(prefer::clip_gradient_norm(parameters, std::numeric_limits<double>::infinity()) == 5);
  CHECK(only.gradient == std::vector<float>{3, 4});
}

TEST_CASE("clip_gradient_norm: frozen parameters neither count nor change", "[train][clip]") {
  tensor<double> moving({3, 4});
  tensor<double> frozen({100});
  auto without_gradient = frozen.parameter(true);
  without_gradient.gradient = {};
  std::vector const parameters = {frozen.parameter(true), moving.parameter(), without_gradient};
  CHECK(prefer::clip_gradient_norm(parameters, 1) == 5);
  CHECK(moving.gradient[0] == Approx(0.6));
  CHECK(frozen.gradient[0] == 100);
}

TEST_CASE("clip_gradient_norm: a norm that is not finite is returned and changes nothing",
          "[train][clip]") {
  float const nan = std::numeric_limits<float>::quiet_NaN();
  float const infinity = std::numeric_limits<float>::infinity();
  for (float const bad : {nan, infinity, -infinity}) {
    tensor<float> only({3, bad, 4});
    std::vector const parameters = {only.parameter()};
    CHECK_FALSE(std::isfinite(prefer::clip_gradient_norm(parameters, 1)));
    CHECK(only.gradient[0] == 3);
    CHECK(only.gradient[2] == 4);
  }
}

TEST_CASE("gradient_norm: float gradients are summed in double", "[train][clip]") {
  // In float, 2^24 ones and one more are 2^24, and the square of 1e30 overflows.
  tensor<float> ones(std::vector<float>((1 << 24) + 1, 1.0F));
  CHECK(prefer::gradient_norm(std::vector{ones.parameter()}) == std::sqrt(16777217.0));
  tensor<float> large({1e30F});
  CHECK(prefer::gradient_norm(std::vector{large.parameter()}) == Approx(1e30).epsilon(1e-7));
}

TEST_CASE("gradient_norm: every element counts once at every length", "[train][clip]") {
  for (std::size_t const size : {0U, 1U, 7U, 8U, 9U, 4095U, 4096U, 4097U, 8191U, 12289U}) {
    std::vector<double> gradient(size);
    double sum = 0;
    for (std::size_t i = 0; i != size; ++i) {
      gradient[i] = static_cast<double>(i + 1);
      sum += gradient[i] * gradient[i];  // below 2^53, hence exact in any order
    }
    tensor<double> only(gradient);
    CHECK(prefer::gradient_norm(std::vector{only.parameter()}) == std::sqrt(sum));
  }
}

TEST_CASE("clip_gradient_norm: the same bits on one thread and on three", "[train][clip]") {
  prefer::thread_pool pool{3};
  std::vector<float> gradient(100001);
  prefer::fill_normal(std::span(gradient), {.seed = 1}, 0, 1);
  tensor<float> serial(gradient);
  tensor<float> parallel(gradient);
  double const norm = prefer::clip_gradient_norm(std::vector{serial.parameter()}, 1.0);
  prefer::gradient_norm_memory memory;
  CHECK(norm == prefer::clip_gradient_norm(std::vector{parallel.parameter()}, 1.0, memory,
                                           pool.executor()));
  CHECK(serial.gradient == parallel.gradient);
  CHECK(prefer::gradient_norm(std::vector{serial.parameter()}) == Approx(1).epsilon(1e-6));
}

TEST_CASE("clip_gradient_norm: a limit of zero and a gradient of another size are refused",
          "[train][clip]") {
  tensor<double> only({3, 4});
  std::vector parameters = {only.parameter()};
  CHECK_THROWS_AS(prefer::clip_gradient_norm(parameters, 0), prefer::precondition_error);
  CHECK_THROWS_AS(prefer::clip_gradient_norm(parameters, std::numeric_limits<double>::quiet_NaN()),
                  prefer::precondition_error);
  parameters[0].gradient = parameters[0].gradient.first(1);
  CHECK_THROWS_AS(prefer::gradient_norm(parameters), prefer::precondition_error);
}

TEST_CASE("clipping_scale: what clip_gradient_norm multiplies by", "[train][clip]") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  CHECK(prefer::clipping_scale(5, 2.5) == 0.5);
  CHECK(prefer::clipping_scale(5, 5) == 1);
  CHECK(prefer::clipping_scale(0, 1) == 1);
  CHECK(prefer::clipping_scale(5, infinity) == 1);
  CHECK(prefer::clipping_scale(infinity, 1) == 1);
  CHECK(prefer::clipping_scale(std::numeric_limits<double>::quiet_NaN(), 1) == 1);
}
