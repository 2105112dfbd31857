// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <prefer/loss/catalogue.hpp>
#include <prefer/prefer.hpp>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/example_record.hpp"
#include "support/near.hpp"

// A record is an aggregate, and g++ 12 takes members that a throwing constructor would leave for ones that are read.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace own_scalar {

// [handle]
/// What a comparison of tensors gives. A type of its own, so that select finds it in its namespace.
struct my_mask {
  std::vector<bool> holds;
};

/// Somebody's tensor: a handle to floats. Every operation makes new ones; one number stands for as many as are wanted.
class my_tensor {
 public:
  using value_type = float;  // where exponentials overflow: the size of a handle does not say it

  explicit my_tensor(std::vector<float> numbers)
      : numbers_(std::make_shared<std::vector<float> const>(std::move(numbers))) {}
  /// A constant: a number, or a hyper-parameter, which is a type that converts to one.
  template <std::convertible_to<double> C>
  my_tensor(C const& constant)
      : my_tensor(std::vector<float>{static_cast<float>(static_cast<double>(constant))}) {}

  std::size_t size() const { return numbers_->size(); }
  float operator[](std::size_t i) const { return (*numbers_)[size() == 1 ? 0 : i]; }

 private:
  std::shared_ptr<std::vector<float> const> numbers_;
};
// [/handle]

// [operations]
/// f of each element.
my_tensor map(my_tensor const& a, auto const& f) {
  std::vector<float> out(a.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = f(a[i]);
  return my_tensor(out);
}
/// f of each two elements, as numbers or as conditions.
template <class Number>
std::vector<Number> zip(my_tensor const& a, my_tensor const& b, auto const& f) {
  std::vector<Number> out(std::max(a.size(), b.size()));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = f(a[i], b[i]);
  return out;
}

my_tensor operator-(my_tensor const& a) { return map(a, std::negate<float>()); }
my_tensor operator+(my_tensor const& a, my_tensor const& b) {
  return my_tensor(zip<float>(a, b, std::plus<float>()));
}
my_tensor operator-(my_tensor const& a, my_tensor const& b) {
  return my_tensor(zip<float>(a, b, std::minus<float>()));
}
my_tensor operator*(my_tensor const& a, my_tensor const& b) {
  return my_tensor(zip<float>(a, b, std::multiplies<float>()));
}
my_tensor operator/(my_tensor const& a, my_tensor const& b) {
  return my_tensor(zip<float>(a, b, std::divides<float>()));
}
my_mask operator>(my_tensor const& a, my_tensor const& b) {
  return {zip<bool>(a, b, std::greater<float>())};
}
my_mask operator<(my_tensor const& a, my_tensor const& b) { return b > a; }
/// Also between constants: select(u > 0.0, 1.0, -1.0).
my_tensor select(my_mask const& condition, my_tensor const& a, my_tensor const& b) {
  std::vector<bool> const& holds = condition.holds;
  std::vector<float> out(std::max({holds.size(), a.size(), b.size()}));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = holds[holds.size() == 1 ? 0 : i] ? a[i] : b[i];
  return my_tensor(out);
}
// [/operations]

// [primitives]
my_tensor exp(my_tensor const& a) { return map(a, prefer::exp<float>); }
my_tensor expm1(my_tensor const& a) { return map(a, prefer::expm1<float>); }
my_tensor log(my_tensor const& a) { return map(a, prefer::log<float>); }
my_tensor log1mexp(my_tensor const& a) { return map(a, prefer::log1mexp<float>); }
my_tensor softplus(my_tensor const& a) { return map(a, prefer::softplus<float>); }
my_tensor sigmoid(my_tensor const& a) { return map(a, prefer::sigmoid<float>); }
my_tensor log_sigmoid(my_tensor const& a) { return map(a, prefer::log_sigmoid<float>); }
my_tensor square(my_tensor const& a) { return a * a; }
my_tensor relu(my_tensor const& a) { return map(a, prefer::relu<float>); }
my_tensor clamp(my_tensor const& a, double low, double high) {
  return map(a, [&](float x) { return prefer::clamp(x, low, high); });
}
my_tensor value_of(my_tensor const& a) { return a; }  // without its history, where it has one

static_assert(prefer::Scalar<my_tensor>);
// [/primitives]

static_assert(prefer::exponent_bound_of<my_tensor>().exponent ==
              prefer::exponent_bound_of<float>().exponent);

#if defined(__GNUC__) && !defined(__clang__)  // whose exp is a constant expression
// [constant]
constexpr auto on_duals(auto const& loss) {
  using scalar = prefer::dual<float, 2>;
  prefer::pair_record<scalar> pair;
  pair.chosen.log_prob = scalar::variable(-12.0f, 0);
  pair.rejected.log_prob = scalar::variable(-8.0f, 1);
  return loss(pair);
}
constexpr auto computed_by_the_compiler = on_duals(prefer::dpo{.beta = 0.5});
// [/constant]
static_assert(computed_by_the_compiler.partial[0] == -computed_by_the_compiler.partial[1]);
#endif

TEST_CASE("docs: a loss on a scalar of one's own", "[docs]") {
  // [evaluate]
  prefer::pair_record<my_tensor> const pairs{
      .chosen = {.log_prob = my_tensor({-12.0f, -9.0f}),
                 .reference_log_prob = my_tensor({-12.0f, -11.0f})},
      .rejected = {.log_prob = my_tensor({-8.0f, -9.0f}),
                   .reference_log_prob = my_tensor({-8.0f, -7.0f})}};
  my_tensor const loss = prefer::dpo{.beta = 0.5}(pairs);  // of each pair
  // [/evaluate]
  REQUIRE(loss.size() == 2);
  CHECK(loss[0] == Approx(std::log(2.0)));                     // where policy and reference agree
  CHECK(loss[1] == Approx(std::log1p(std::exp(-0.5 * 4.0))));  // a margin of 2 - (-2) nats
}

TEST_CASE("docs: every loss of the catalogue runs on a scalar of one's own", "[docs]") {
  prefer::for_each_loss([]<prefer::Loss L>(L loss, auto const&) {
    INFO("loss " << L::name);
    if constexpr (std::is_same_v<L, prefer::diffusion_dpo>) loss.beta = 0.1;
    // Two examples alike in one handle.
    my_tensor const y = prefer::test::on_example<my_tensor>(loss, [](double number, std::size_t) {
      auto const x = static_cast<float>(number);
      return my_tensor({x, x});
    });
    double const exact =
        prefer::test::on_example<double>(loss, [](double number, std::size_t) { return number; });
    // Ten roundings of float in terms of up to 150 nats.
    CHECK(prefer::test::near(y[0], exact, 10 * 0x1p-24 * 150.0, 1.0));
    CHECK(y[y.size() - 1] == y[0]);
  });
}

}  // namespace own_scalar
