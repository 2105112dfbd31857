// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/model/two_layer_network.hpp>

#include "choice_policy.hpp"
#include "support/finite_difference.hpp"

using prefer::two_layer_network;

namespace {

constexpr std::size_t inputs = 3;
constexpr std::size_t hidden = 5;
constexpr std::size_t outputs = 2;
constexpr std::size_t conditions = 4;
constexpr prefer::network_shape shape{
    .inputs = inputs, .hidden = hidden, .outputs = outputs, .conditions = conditions, .seed = 3};

template <class T>
std::vector<T> values_of(two_layer_network<T>& network, std::string_view name) {
  for (auto const& each : network.parameters()) {
    if (each.name == name) return {each.value.begin(), each.value.end()};
  }
  return {};
}

double input_of(std::size_t row, std::size_t i) {
  return std::sin(1.0 + 3.0 * static_cast<double>(row) + static_cast<double>(i));
}
std::size_t condition_of(std::size_t row) { return (row * 7 + 1) % conditions; }

template <class T>
void fill(two_layer_network<T>& network, std::size_t rows) {
  for (std::size_t r = 0; r != rows; ++r) {
    for (std::size_t i = 0; i != inputs; ++i) {
      network.input(r)[i] = static_cast<T>(input_of(r, i));
    }
    network.start(r, condition_of(r));
  }
}

/// The formula of the docstring, one number at a time.
std::vector<double> by_formula(two_layer_network<double>& network, std::size_t row) {
  auto const layer = [&](std::vector<double> const& from, char const* weight, char const* bias,
                         std::size_t to) {
    auto const w = values_of(network, weight);
    auto out = values_of(network, bias);
    for (std::size_t j = 0; j != to; ++j) {
      for (std::size_t i = 0; i != from.size(); ++i) out[j] += from[i] * w[i * to + j];
    }
    return out;
  };
  auto const activated = [](std::vector<double> z) {
    for (double& each : z) each /= 1 + std::exp(-each);
    return z;
  };
  std::vector<double> x;
  for (std::size_t i = 0; i != inputs; ++i) x.push_back(input_of(row, i));
  auto first = layer(x, "input", "input_bias", hidden);
  auto const condition = values_of(network, "condition");
  for (std::size_t h = 0; h != hidden; ++h) first[h] += condition[condition_of(row) * hidden + h];
  auto const second = layer(activated(first), "hidden", "hidden_bias", hidden);
  return layer(activated(second), "output", "output_bias", outputs);
}

}  // namespace

TEST_CASE("two_layer_network: says the formula's numbers, in blocks of any size",
          "[model][two_layer_network]") {
  two_layer_network<double> network(shape);
  prefer::test::fill_parameters(network, 5, 1.0);
  constexpr std::size_t rows = 21;
  fill(network, rows);
  network.forward(0, 8);
  network.forward(8, 9);
  network.forward(9, rows);
  for (std::size_t r = 0; r != rows; ++r) {
    auto const expected = by_formula(network, r);
    for (std::size_t o = 0; o != outputs; ++o) {
      INFO("row " << r << ", output " << o);
      CHECK(network.output(r)[o] == Approx(expected[o]).margin(1e-13));
    }
  }
}

TEST_CASE("two_layer_network: starts with weights of variance 1 / inputs, and predicts 0",
          "[model][two_layer_network]") {
  two_layer_network<double> network({.inputs = 100, .hidden = 100, .outputs = 1, .seed = 2});
  for (char const* name : {"input", "hidden"}) {
    auto const values = values_of(network, name);
    REQUIRE(values.size() == 10000);
    double squares = 0;
    for (double const each : values) squares += each * each;
    // The mean of 10^4 squares of variance 1/100: deviation sqrt(2 / 10^4) of it.
    CHECK(squares / 10000 == Approx(0.01).epsilon(5 * std::sqrt(2e-4)));
  }
  for (char const* name : {"input_bias", "hidden_bias", "output", "output_bias"}) {
    for (double const each : values_of(network, name)) CHECK(each == 0);
  }
  CHECK(values_of(network, "condition").empty());  // one condition is none
}

TEST_CASE("two_layer_network: gradients are derivatives of the outputs, by every parameter",
          "[model][two_layer_network]") {
  two_layer_network<double> network(shape);
  prefer::test::fill_parameters(network, 5, 1.0);
  constexpr std::size_t rows = 9;
  // L = sum over rows of c_row * (y_0 - 2 y_1)
  auto const c = [](std::size_t row) { return std::cos(static_cast<double>(row)); };
  auto const value = [&] {
    fill(network, rows);
    network.forward(0, rows);
    long double sum = 0;
    for (std::size_t r = 0; r != rows; ++r) {
      sum += static_cast<long double>(c(r)) *
             (static_cast<long double>(network.output(r)[0]) - 2.0L * network.output(r)[1]);
    }
    return sum;
  };
  fill(network, rows);
  network.transpose_weights();
  for (std::size_t const begin : {std::size_t{0}, std::size_t{4}}) {
    std::size_t const end = begin == 0 ? 4 : rows;
    network.forward_with_slopes(begin, end);
    for (std::size_t r = begin; r != end; ++r) {
      network.output(r)[0] = c(r);
      network.output(r)[1] = -2 * c(r);
    }
    network.pull_back(begin, end);
  }
  network.add_to_gradients(prefer::executor(), rows, condition_of);
  std::vector<double> computed;
  for (auto const& each : network.parameters()) {
    computed.insert(computed.end(), each.gradient.begin(), each.gradient.end());
  }
  std::size_t at = 0;
  for (auto const& each : network.parameters()) {
    for (double& here : each.value) {
      double const before = here;
      auto const expected = prefer::test::derivative(
          [&](long double x) {
            here = static_cast<double>(x);
            return value();
          },
          before, 0x1p-8L);
      here = before;
      INFO(each.name << ", element " << at);
      // Values of some 100 in double, h = 2^-8: rounding 3 * 1.1e-16 * 100 / h = 1e-11, truncation h^4 / 480 times a
      // fifth derivative of some 10^2: 5e-11.
      CHECK(computed[at] == Approx(static_cast<double>(expected)).margin(1e-9).epsilon(1e-8));
      ++at;
    }
  }
  REQUIRE(at == computed.size());
}
