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

/// Somebody's number of 16 bits.
struct their_half {
  std::uint16_t x;
};

// [half]
template <>
struct prefer::element_traits<their_half> {
  static constexpr auto stored = prefer::storage::float16;
};
// [/half]

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

TEST_CASE("own column type: numbers that lie some steps apart are read and written there",
          "[docs][own_column_type]") {
  std::size_t const pairs = 2;
  std::vector<float> const model_output = {-1.0f, -9.0f, -3.0f, -9.0f};
  std::vector<float> model_gradient(4, 42.0f);
  // [strided]
  float const* const table = model_output.data();  // [pairs, 2]: chosen, rejected
  float* const gradient = model_gradient.data();   // as the output lies

  double const loss = prefer::evaluate_into(
      prefer::nll{},
      prefer::pair_columns{.policy = {.chosen = prefer::strided(table, pairs, 2),
                                      .rejected = prefer::strided(table + 1, pairs, 2)}},
      prefer::pair_results{.chosen = prefer::strided(gradient, pairs, 2),
                           .rejected = prefer::strided(gradient + 1, pairs, 2)});
  // [/strided]
  CHECK(loss == Approx(2.0));  // the mean of -log_prob of the chosen ones
  CHECK(model_gradient == std::vector<float>{-0.5f, 0.0f, -0.5f, 0.0f});
}

TEST_CASE("own column type: 16 bits of any type are columns", "[docs][own_column_type]") {
  // [bits]
  std::vector<their_half> const chosen = {their_half{0xca00}};  // -12
  std::vector<std::uint16_t> const rejected = {0xc170};         // -15, in the bits of a bfloat16
  std::vector<float> const reference = {-13.0f};
  std::vector<prefer::half> coefficient(1);

  double const loss = prefer::evaluate_into(
      prefer::dpo{.beta = 0.5},
      prefer::pair_columns{
          .policy = {.chosen = chosen,
                     .rejected = prefer::bits_as<prefer::bfloat16>(rejected.data(), 1)},
          .reference = {.chosen = reference, .rejected = reference}},
      prefer::pair_results{.chosen = coefficient});
  // [/bits]
  CHECK(loss == Approx(std::log1p(std::exp(-1.5))).epsilon(1e-6));
  // -beta sigmoid(-1.5) = -0.0912127..., to half's last digit there, 2^-14
  CHECK(static_cast<float>(coefficient[0]) == Approx(-0.0912127).margin(0x1p-15));
}
