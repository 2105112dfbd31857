// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <prefer/prefer.hpp>
#include <span>
#include <vector>

// [tensor]
/// Somebody's array: numbers in one block, no iterators.
class my_tensor {
 public:
  explicit my_tensor(std::size_t count) : block_(new float[count]()), count_(count) {}

  float* raw() { return block_.get(); }
  float const* raw() const { return block_.get(); }
  std::size_t count() const { return count_; }

 private:
  std::unique_ptr<float[]> block_;
  std::size_t count_;
};

template <>
struct prefer::column_traits<my_tensor> {
  static std::span<float const> numbers(my_tensor const& t) { return {t.raw(), t.count()}; }
  static std::span<float> numbers(my_tensor& t) { return {t.raw(), t.count()}; }
};

static_assert(prefer::check::column<my_tensor>());
// [/tensor]

TEST_CASE("own column type: numbers are read and results written in place",
          "[docs][own_column_type]") {
  // [use]
  my_tensor policy_chosen(2), policy_rejected(2), reference_chosen(2), reference_rejected(2);
  policy_chosen.raw()[0] = -12.0f;
  policy_rejected.raw()[0] = -15.0f;

  my_tensor coefficient_chosen(2), coefficient_rejected(2);
  double const loss = prefer::evaluate_into(
      prefer::dpo{.beta = 0.5},
      prefer::pair_columns{
          .policy = {.chosen = policy_chosen, .rejected = policy_rejected},
          .reference = {.chosen = reference_chosen, .rejected = reference_rejected}},
      prefer::pair_results{.chosen = coefficient_chosen, .rejected = coefficient_rejected});
  // [/use]

  CHECK(loss == Approx((std::log1p(std::exp(-1.5)) + std::log(2.0)) / 2).epsilon(1e-6));
  CHECK(coefficient_chosen.raw()[1] == Approx(-0.125f));  // -beta sigmoid(0) / B
  CHECK(coefficient_rejected.raw()[1] == Approx(0.125f));
}

TEST_CASE("own column type: standard containers are columns as they are, labels may be bool or int",
          "[docs][own_column_type]") {
  // [standard]
  std::vector<double> const policy = {-12.0, -15.0};
  std::vector<float> const reference = {-13.0f,
                                        -14.0f};  // storage may differ from column to column
  bool const label[] = {true, false};
  std::vector<double> const other = {-20.0};  // a completion of another prompt, for the baseline

  auto const result = prefer::evaluate(
      prefer::kto{.beta = 0.1},
      prefer::unpaired_columns{
          .policy = policy, .reference = reference, .label = label, .kl_examples = {other, other}});
  // [/standard]
  // log-ratios 1 and -1, baseline 0: both examples gain 0.1
  CHECK(result.value[0] == Approx(1.0 / (1.0 + std::exp(0.1))).epsilon(1e-6));
  CHECK(result.value[1] == Approx(result.value[0]).epsilon(1e-12));
}
