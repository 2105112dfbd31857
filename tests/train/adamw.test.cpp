// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/train/adamw.hpp>
#include <string>
#include <vector>

namespace {

template <class T>
struct tensor {
  explicit tensor(std::string its_name, std::vector<T> values)
      : name(std::move(its_name)), value(std::move(values)), gradient(value.size()) {}
  prefer::parameter<T> parameter(bool frozen = false) {
    return {.name = name, .value = value, .gradient = gradient, .frozen = frozen};
  }
  std::string name;
  std::vector<T> value;
  std::vector<T> gradient;
};

template <class T>
void draw_gradient(tensor<T>& to, std::uint64_t step) {
  prefer::fill_normal(std::span(to.gradient), {.seed = 5, .step = step}, 0, 1);
}

}  // namespace

TEST_CASE("adamw: the first step has the size of the learning rate and the sign of the gradient",
          "[train][adamw]") {
  // mean / (1 - beta1) = g and square / (1 - beta2) = g^2, so the step is lr g / (|g| + epsilon).
  tensor<double> weight("weight", {1, 1, 1, 1, 1});
  weight.gradient = {1e3, -1e-3, 2, 0, -1e-8};
  prefer::adamw<double> optimizer;
  optimizer.step(std::vector{weight.parameter()}, 0.1);
  CHECK(weight.value[0] == Approx(0.9));
  CHECK(weight.value[1] == Approx(1 + 0.1 / (1 + 1e-5)).epsilon(1e-12));
  CHECK(weight.value[2] == Approx(0.9));
  CHECK(weight.value[3] == 1);
  CHECK(weight.value[4] ==
        Approx(1.05));  // |g| = epsilon halves the step: epsilon is outside the root
}

TEST_CASE("adamw: three steps by hand", "[train][adamw]") {
  // beta1 = beta2 = 1/2, lr = 1, gradients 1, -1, 2:
  //   t  mean            /(1-2^-t)  square          /(1-2^-t)  step
  //   1  1/2             1          1/2             1          1
  //   2  1/4-1/2 = -1/4  -1/3       1/4+1/2 = 3/4   1          -1/3
  //   3  -1/8+1 = 7/8    1          3/8+2 = 19/8    19/7       sqrt(7/19)
  tensor<double> weight("weight", {10});
  prefer::adamw<double> optimizer({.beta1 = 0.5, .beta2 = 0.5, .epsilon = 1e-300});
  double expected = 10;
  for (auto const& [gradient, step] :
       {std::pair{1.0, 1.0}, std::pair{-1.0, -1.0 / 3}, std::pair{2.0, std::sqrt(7.0 / 19)}}) {
    weight.gradient = {gradient};
    optimizer.step(std::vector{weight.parameter()}, 1);
    expected -= step;
    CHECK(weight.value[0] == Approx(expected).epsilon(1e-14));
  }
  CHECK(optimizer.steps() == 3);
}

TEST_CASE("adamw: weight decay shrinks by lr * weight_decay whatever the gradient is",
          "[train][adamw]") {
  tensor<double> weight("weight", {8, 8});
  weight.gradient = {0, 3};
  prefer::adamw<double> optimizer({.epsilon = 1e-300, .weight_decay = 0.5});
  optimizer.step(std::vector{weight.parameter()}, 0.5);
  CHECK(weight.value[0] == 6);            // 8 (1 - 1/4)
  CHECK(weight.value[1] == Approx(5.5));  // and 1/2 for the gradient, which decay does not scale
  optimizer.step(std::vector{weight.parameter()}, 0.5);
  CHECK(weight.value[0] == 4.5);
  CHECK(weight.value[1] == Approx(3.625));  // a constant gradient keeps the step at lr
}

TEST_CASE("adamw: a scale of the gradient is a shorter gradient", "[train][adamw]") {
  // Powers of two scale without rounding, so the bits are those of gradients that were scaled before.
  tensor<float> scaled("weight", std::vector<float>(13, 1.0F));
  tensor<float> shortened = scaled;
  prefer::adamw<float> one;
  prefer::adamw<float> other;
  for (std::uint64_t step = 1; step != 4; ++step) {
    draw_gradient(scaled, step);
    draw_gradient(shortened, step);
    for (float& g : shortened.gradient) g *= 0.125F;
    one.step(std::vector{scaled.parameter()}, 0.1, {}, 0.125);
    other.step(std::vector{shortened.parameter()}, 0.1);
    REQUIRE(scaled.value == shortened.value);
  }
  for (double const refused : {-1.0, std::numeric_limits<double>::infinity()}) {
    CHECK_THROWS_AS(one.step(std::vector{scaled.parameter()}, 0.1, {}, refused),
                    prefer::precondition_error);
  }
}

TEMPLATE_TEST_CASE("adamw: follows the textbook formulas for a hundred steps", "[train][adamw]",
                   float, double) {
  constexpr std::size_t size = 37;
  prefer::adamw_options const options{
      .beta1 = 0.8, .beta2 = 0.97, .epsilon = 1e-6, .weight_decay = 0.1};
  tensor<TestType> weight("weight", std::vector<TestType>(size, TestType(0.5)));
  std::vector<long double> value(size, 0.5L);
  std::vector<long double> mean(size);
  std::vector<long double> square(size);
  prefer::adamw<TestType> optimizer(options);
  for (int t = 1; t <= 100; ++t) {
    draw_gradient(weight, static_cast<std::uint64_t>(t));
    double const rate = 0.01 / t;
    optimizer.step(std::vector{weight.parameter()}, rate);
    for (std::size_t i = 0; i != size; ++i) {
      long double const g = weight.gradient[i];
      mean[i] = options.beta1 * mean[i] + (1 - options.beta1) * g;
      square[i] = options.beta2 * square[i] + (1 - options.beta2) * g * g;
      long double const corrected_mean = mean[i] / (1 - std::pow(options.beta1, t));
      long double const corrected_square = square[i] / (1 - std::pow(options.beta2, t));
      value[i] -= rate * options.weight_decay * value[i];
      value[i] -= rate * corrected_mean / (std::sqrt(corrected_square) + options.epsilon);
    }
  }
  // A hundred roundings of values up to one, each at most half a unit; twice that for state and factors.
  double const tolerance = 100 * static_cast<double>(std::numeric_limits<TestType>::epsilon());
  for (std::size_t i = 0; i != size; ++i) {
    CHECK(static_cast<double>(weight.value[i]) ==
          Approx(static_cast<double>(value[i])).margin(tolerance).epsilon(0));
  }
}

TEST_CASE("adamw: squares that are zero or subnormal in float do no harm", "[train][adamw]") {
  tensor<float> weight("weight", {1, 1, 1});
  weight.gradient = {0, 1e-18F, 1e-30F};  // squares 0, 1e-39 after (1 - beta2), 0
  prefer::adamw<float> optimizer({.epsilon = 1e-30});
  optimizer.step(std::vector{weight.parameter()}, 0.1);
  CHECK(weight.value[0] == 1);
  CHECK(weight.value[1] == Approx(0.9F).epsilon(1e-3));
  CHECK(std::isfinite(weight.value[2]));
}

TEST_CASE("adamw: a frozen parameter keeps value, state and count", "[train][adamw]") {
  tensor<double> moving("moving", {1});
  tensor<double> resting("resting", {1});
  prefer::adamw<double> optimizer;
  moving.gradient = {1};
  resting.gradient = {1};
  for (int i = 0; i != 5; ++i) {
    optimizer.step(std::vector{moving.parameter(), resting.parameter(true)}, 0.1);
  }
  CHECK(resting.value[0] == 1);
  CHECK(moving.value[0] == Approx(0.5));
  // Thawed, its first step is a first step: of size lr, as only the correction for t = 1 makes it.
  resting.gradient = {7};
  optimizer.step(std::vector{moving.parameter(true), resting.parameter()}, 0.1);
  CHECK(resting.value[0] == Approx(0.9));
  CHECK(moving.value[0] == Approx(0.5));
}

TEMPLATE_TEST_CASE("adamw: the same bits on one thread and on three", "[train][adamw]", float,
                   double) {
  prefer::thread_pool pool{3};
  std::vector<TestType> start(50003);
  prefer::fill_normal(std::span(start), {.seed = 6}, 0, 1);
  tensor<TestType> serial("weight", start);
  tensor<TestType> parallel("weight", start);
  prefer::adamw<TestType> first({.weight_decay = 0.01});
  prefer::adamw<TestType> second({.weight_decay = 0.01});
  for (std::uint64_t step = 0; step != 5; ++step) {
    draw_gradient(serial, step);
    draw_gradient(parallel, step);
    first.step(std::vector{serial.parameter()}, 0.01);
    second.step(std::vector{parallel.parameter()}, 0.01, pool.executor());
  }
  CHECK(serial.value == parallel.value);
  CHECK(serial.value != start);
}

TEMPLATE_TEST_CASE("adamw: an element's bits do not depend on where it stands", "[train][adamw]",
                   float, double) {
  // The last elements of a tensor do not fill a register.
  std::vector<TestType> start(67);
  prefer::fill_normal(std::span(start), {.seed = 8}, 0, 1);
  tensor<TestType> whole("whole", start);
  prefer::adamw<TestType> optimizer;
  std::vector<tensor<TestType>> singles;
  for (TestType const each : start) singles.emplace_back("single", std::vector<TestType>{each});
  std::vector<prefer::parameter<TestType>> parameters;
  prefer::adamw<TestType> other;
  for (std::uint64_t step = 0; step != 4; ++step) {
    draw_gradient(whole, step);
    for (std::size_t i = 0; i != singles.size(); ++i) singles[i].gradient[0] = whole.gradient[i];
    parameters.clear();
    for (auto& single : singles) parameters.push_back(single.parameter());
    optimizer.step(std::vector{whole.parameter()}, 0.01);
    other.step(parameters, 0.01);
  }
  for (std::size_t i = 0; i != singles.size(); ++i) {
    REQUIRE(whole.value[i] == singles[i].value[0]);
  }
}

TEST_CASE("adamw: a resumed run has the bits of one that went through", "[train][adamw]") {
  std::vector<float> start(101);
  prefer::fill_normal(std::span(start), {.seed = 9}, 0, 1);
  tensor<float> through("weight", start);
  tensor<float> resting("resting", start);
  prefer::adamw<float> optimizer({.weight_decay = 0.1});
  prefer::archive_writer file;
  std::vector<float> halfway;
  for (std::uint64_t step = 0; step != 10; ++step) {
    if (step == 5) {
      optimizer.save(file, "optimizer/");
      halfway = through.value;
    }
    draw_gradient(through, step);
    optimizer.step(std::vector{through.parameter(), resting.parameter(true)}, 0.01);
  }

  tensor<float> resumed("weight", halfway);
  prefer::adamw<float> second({.weight_decay = 0.1});
  auto const saved = prefer::archive::parse(file.bytes(), "memory");
  second.load(saved, std::vector{resumed.parameter(), resting.parameter(true)}, "optimizer/");
  CHECK(second.steps() == 5);
  for (std::uint64_t step = 5; step != 10; ++step) {
    draw_gradient(resumed, step);
    second.step(std::vector{resumed.parameter(), resting.parameter(true)}, 0.01);
  }
  CHECK(resumed.value == through.value);
}

TEST_CASE("adamw: a checkpoint of other parameters is refused by name", "[train][adamw]") {
  tensor<float> weight("weight", {1, 2, 3});
  prefer::adamw<float> optimizer;
  optimizer.step(std::vector{weight.parameter()}, 0.01);
  prefer::archive_writer file;
  optimizer.save(file);
  auto const saved = prefer::archive::parse(file.bytes(), "memory");

  tensor<float> renamed("bias", {1, 2, 3});
  tensor<float> longer("weight", {1, 2, 3, 4});
  prefer::adamw<float> fresh;
  CHECK_THROWS_WITH(fresh.load(saved, std::vector{renamed.parameter()}),
                    Catch::Contains("step/bias"));
  CHECK_THROWS_WITH(fresh.load(saved, std::vector{longer.parameter()}),
                    Catch::Contains("m/weight") && Catch::Contains("3") && Catch::Contains("4"));
  CHECK(fresh.steps() == 0);
}

TEST_CASE("adamw: the state before the first step can be saved and loaded", "[train][adamw]") {
  prefer::archive_writer file;
  prefer::adamw<float>().save(file);
  tensor<float> weight("weight", {1});
  weight.gradient = {1};
  prefer::adamw<float> loaded;
  loaded.load(prefer::archive::parse(file.bytes(), "memory"), std::vector{weight.parameter()});
  loaded.step(std::vector{weight.parameter()}, 0.25);
  CHECK(weight.value[0] == Approx(0.75));
}

TEST_CASE("adamw: a refused step leaves everything as it was", "[train][adamw]") {
  tensor<double> weight("weight", {1, 2});
  tensor<double> bias("bias", {3});
  weight.gradient = {1, 1};
  bias.gradient = {1};
  prefer::adamw<double> optimizer;
  optimizer.step(std::vector{weight.parameter(), bias.parameter()}, 0.1);
  auto const before = weight.value;

  auto short_gradient = bias.parameter();
  short_gradient.gradient = {};
  using Catch::Contains;
  CHECK_THROWS_WITH(optimizer.step(std::vector{weight.parameter(), short_gradient}, 0.1),
                    Contains("gradient has 0 elements, expected 1"));
  CHECK_THROWS_WITH(optimizer.step(std::vector{weight.parameter()}, 0.1),
                    Contains("parameters has 1 elements, expected 2"));
  CHECK_THROWS_WITH(optimizer.step(std::vector{bias.parameter(), weight.parameter()}, 0.1),
                    Contains("'bias'") && Contains("'weight'"));
  for (double const rate :
       {-0.1, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    CHECK_THROWS_AS(optimizer.step(std::vector{weight.parameter(), bias.parameter()}, rate),
                    prefer::precondition_error);
  }
  // Which is told before a step, too.
  CHECK_THROWS_WITH(optimizer.prepare(std::vector{weight.parameter()}),
                    Contains("parameters has 1 elements, expected 2"));
  CHECK(weight.value == before);
  CHECK(optimizer.steps() == 1);
}

TEST_CASE("adamw: what is prepared is moved by the step alone", "[train][adamw]") {
  tensor<double> prepared("weight", {1, 2}), other("weight", {1, 2});
  prepared.gradient = other.gradient = {1, -3};
  prefer::adamw<double> first, second;
  first.prepare(std::vector{prepared.parameter()});
  CHECK(prepared.value == std::vector<double>{1, 2});
  CHECK(first.steps() == 0);
  CHECK(first.moments_of(0).mean.size() == 2);
  first.step(std::vector{prepared.parameter()}, 0.1);
  second.step(std::vector{other.parameter()}, 0.1);
  CHECK(prepared.value == other.value);
}

TEST_CASE("adamw: hyper-parameters out of range do not construct", "[train][adamw]") {
  using prefer::precondition_error;
  double const nan = std::numeric_limits<double>::quiet_NaN();
  for (prefer::adamw_options const& options :
       {prefer::adamw_options{.beta1 = 1}, prefer::adamw_options{.beta1 = -0.1},
        prefer::adamw_options{.beta2 = 1}, prefer::adamw_options{.beta2 = nan},
        prefer::adamw_options{.epsilon = 0}, prefer::adamw_options{.weight_decay = -1},
        prefer::adamw_options{.weight_decay = nan}}) {
    CHECK_THROWS_AS(prefer::adamw<float>(options), precondition_error);
  }
}

TEST_CASE("adamw: weight decay is for what is decayed, unless a group says otherwise",
          "[train][adamw]") {
  // A gradient of 0 moves nothing, so that what is left of 1 is the decay: 1 - rate * decay.
  tensor<double> weight("layer.weight", {1});
  tensor<double> bias("layer.bias", {1});
  tensor<double> scale("scale", {1});
  auto const parameters = [&] {
    auto unscaled = bias.parameter();
    unscaled.decayed = false;
    return std::vector{weight.parameter(), unscaled, scale.parameter()};
  };
  auto const after_a_step = [&](std::vector<prefer::adamw_group> groups) {
    for (auto* each : {&weight, &bias, &scale}) each->value = {1};
    prefer::adamw<double> optimizer({.weight_decay = 0.5, .groups = std::move(groups)});
    optimizer.step(parameters(), 0.1);
    return std::vector{weight.value[0], bias.value[0], scale.value[0]};
  };
  using numbers = std::vector<double>;
  CHECK(after_a_step({}) == numbers{1 - 0.1 * 0.5, 1, 1 - 0.1 * 0.5});
  CHECK(after_a_step({{.parameters = "layer.*", .weight_decay = 0.25}}) ==
        numbers{1 - 0.1 * 0.25, 1 - 0.1 * 0.25, 1 - 0.1 * 0.5});
  CHECK(after_a_step({{.parameters = "scale", .weight_decay = 0}}) == numbers{1 - 0.1 * 0.5, 1, 1});
  // The last group that names a parameter counts, and alone.
  CHECK(after_a_step({{.parameters = "*", .weight_decay = 1, .rate_factor = 3},
                      {.parameters = "layer.weight"}}) ==
        numbers{1 - 0.1 * 0.5, 1 - 0.1 * 3 * 1, 1 - 0.1 * 3 * 1});
}

TEST_CASE("adamw: a group's rate factor is a factor of the learning rate", "[train][adamw]") {
  tensor<double> slow("slow", {1, 2, 3});
  tensor<double> alone("slow", {1, 2, 3});
  prefer::adamw<double> grouped(
      {.weight_decay = 0.1, .groups = {{.parameters = "slow", .rate_factor = 0.25}}});
  prefer::adamw<double> plain({.weight_decay = 0.1});
  for (std::uint64_t step = 0; step < 3; ++step) {
    draw_gradient(slow, step);
    draw_gradient(alone, step);
    grouped.step(std::vector{slow.parameter()}, 0.4);
    plain.step(std::vector{alone.parameter()}, 0.1);
    CHECK(slow.value == alone.value);
  }
}

TEST_CASE("adamw: a frozen group keeps its bits and its state, and the others' are the same",
          "[train][adamw]") {
  tensor<float> moved("moved", {1, 2});
  tensor<float> held("held", {0.1f, -7});
  tensor<float> alone("moved", {1, 2});
  prefer::adamw<float> grouped({.groups = {{.parameters = "held", .frozen = true}}});
  prefer::adamw<float> plain;
  for (std::uint64_t step = 0; step < 3; ++step) {
    draw_gradient(moved, step);
    draw_gradient(alone, step);
    draw_gradient(held, step + 10);
    grouped.step(std::vector{moved.parameter(), held.parameter()}, 0.1);
    plain.step(std::vector{alone.parameter()}, 0.1);
  }
  CHECK(held.value == std::vector<float>{0.1f, -7});
  CHECK(moved.value == alone.value);
  prefer::archive_writer file;
  grouped.save(file);
  auto const saved = prefer::archive::parse(file.bytes(), "saved");
  CHECK(saved.number<std::uint64_t>("step/held") == 0);
  CHECK(saved.number<std::uint64_t>("step/moved") == 3);
}

TEST_CASE("adamw: groups that name nothing, or ask for what is no number, are refused",
          "[train][adamw]") {
  tensor<double> weight("weight", {1});
  weight.gradient = {1};
  prefer::adamw<double> misspelt({.groups = {{.parameters = "wieght", .frozen = true}}});
  CHECK_THROWS_WITH(misspelt.step(std::vector{weight.parameter()}, 0.1),
                    Catch::Contains("'wieght'"));
  CHECK(weight.value == std::vector<double>{1});
  CHECK_THROWS_WITH(prefer::adamw<double>({.groups = {{.parameters = "w", .weight_decay = -1}}}),
                    Catch::Contains("'w'"));
  CHECK_THROWS_WITH(prefer::adamw<double>({.groups = {{.parameters = "w", .rate_factor = -1}}}),
                    Catch::Contains("'w'"));
}
