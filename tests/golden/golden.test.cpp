// SPDX-License-Identifier: MIT
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "../../examples/losses/golden.hpp"

namespace {

using golden::quantity;
using golden::quantity_kind;
using golden::status;

std::vector<std::string> const families = {"cpo",         "dpo", "dpo_legacy", "dpo_tokens",
                                           "exact_edges", "kto", "online_dpo"};

golden::golden_file family(std::string const& name) {
  return golden::read(std::string(PREFER_GOLDEN_DIR) + "/" + name + ".json");
}

std::string describe(golden::golden_case const& row, golden::outcome const& outcome) {
  auto const& first = outcome.mismatches.front();
  std::ostringstream out;
  out.precision(17);
  out << row.id << " as " << outcome.meaning << ": " << first.field << '[' << first.index
      << "] expected " << first.expected << ", got " << first.got << "; "
      << outcome.mismatches.size() - 1 << " more";
  return out.str();
}

/// One line per entry, so that a failed comparison shows which one differs.
std::string lines_of(std::map<std::string, std::size_t> const& counts) {
  std::string out;
  for (auto const& [name, count] : counts) out += name + " " + std::to_string(count) + "\n";
  return out;
}

/// Rows that passed, by file and our loss: "dpo: ipo".
template <class Real, class ToleranceOf>
std::map<std::string, std::size_t> passed_rows(ToleranceOf const& tolerance_of) {
  std::map<std::string, std::size_t> passed;
  for (auto const& name : families) {
    auto const file = family(name);
    for (auto const& row : golden::cases_of(file)) {
      auto const outcome = golden::check<Real>(row, tolerance_of(row));
      if (outcome.status == status::not_covered) continue;
      INFO(row.id);
      CHECK(outcome.status != status::not_finite);
      CHECK(outcome.numbers > 0);
      if (outcome.status == status::failed) FAIL_CHECK(describe(row, outcome));
      if (outcome.status == status::passed) ++passed[name + ": " + outcome.meaning];
    }
  }
  return passed;
}

// Counted in the files by their grids: say 4 betas x 5 input sets for each loss of dpo.json, and
// 4 betas x 3 pairs of weights x 8 input sets for KTO.
std::map<std::string, std::size_t> const covered = {
    {"cpo: dpo", 54},
    {"cpo: dpo + nll per batch token", 12},
    {"cpo: hinge", 38},
    {"cpo: hinge + nll per batch token", 12},
    {"cpo: ipo", 30},
    {"cpo: ipo + nll per batch token", 12},
    {"cpo: simpo", 78},
    {"cpo: simpo + nll per batch token", 12},
    {"dpo: dpo", 20},
    {"dpo: hinge", 20},
    {"dpo: ipo", 20},
    {"dpo_legacy: dpo", 64},
    {"dpo_legacy: dpo + nll per batch token", 16},
    {"dpo_legacy: hinge", 8},
    {"dpo_legacy: ipo_sum", 8},
    {"dpo_tokens: dpo", 9},
    {"dpo_tokens: dpo + nll per batch token", 12},
    {"dpo_tokens: hinge", 9},
    {"dpo_tokens: ipo", 9},
    {"dpo_tokens: nll per batch token", 6},
    {"exact_edges: kto", 24},
    {"kto: kto", 96},
    {"online_dpo: dpo", 24},
    {"online_dpo: ipo_sum", 24},
};

// How far float may be off, derived, not measured. u = 2^-24 is half the distance of floats at 1, so an input x
// arrives as x (1 + d), |d| <= u, and every operation adds one such factor.
//
// Margin m: sums and differences of inputs whose sizes add up to S (`magnitude`, per token where the loss averages).
// Rounding the inputs moves m by at most u S, two subtractions by at most u S each, a division by the length by
// u S: |dm| <= 4 u S, and 8 u S leaves room for second orders and for multiplying by a beta that is itself rounded.
//
// Value: where |d loss / dm| <= slope, slope |dm| + 8 u |loss|; the second term is the primitive's own error and
// the last operations. Mean: the same with the largest S of the batch. Coefficient: where |d^2 loss / dm^2| <= bend,
// (bend |dm| + 8 u slope) / B. S of the `far` inputs is 2e4, so relative to m of the same size this is about 1e-5.
struct float_tolerance {
  static constexpr double u = 0x1p-24;

  /// For a loss of beta * m.
  static double bounded(quantity const& q, double slope, double bend) {
    double const dm = 8 * u * q.magnitude;
    double const nll = q.nll_weight * 8 * u;  // its coefficient is at most 1, its value at most S
    if (q.kind == quantity_kind::statistic) return 8 * u * q.beta * q.magnitude;
    if (q.kind == quantity_kind::loss) {
      return slope * dm + 8 * u * std::fabs(q.expected) + nll * q.magnitude;
    }
    return (bend * dm + 8 * u * slope) / q.batch + nll;
  }

  // |d softplus| <= 1, |d^2 softplus| <= 1/4; smoothing adds a linear term of slope < 1/2.
  double operator()(prefer::dpo const&, quantity const& q) const {
    return bounded(q, 1.5 * q.beta, q.beta * q.beta / 4);
  }
  double operator()(prefer::simpo const& loss, quantity const& q) const {
    double const gamma = q.kind == quantity_kind::loss ? 8 * u * std::fabs(loss.gamma) : 0.0;
    double const gamma_bend = 2 * u * std::fabs(loss.gamma) * q.beta / q.batch;
    return bounded(q, 1.5 * q.beta, q.beta * q.beta / 4) + gamma + gamma_bend;
  }
  // No golden pair is within rounding of the kink, where the coefficient jumps: there this test would fail.
  double operator()(prefer::hinge const&, quantity const& q) const {
    return bounded(q, q.beta, 0.0) +
           (q.kind == quantity_kind::loss ? 8 * u : 0.0);  // the 1 in 1 - z
  }
  // loss = d^2 with d = m - 1 / (2 beta). A mean of B squares bounds each |d| by sqrt(B loss).
  static double squared(quantity const& q) {
    double const dd = 8 * u * q.magnitude + 2 * u / q.beta;
    double const nll = q.nll_weight * 8 * u;
    if (q.kind == quantity_kind::statistic) return 8 * u * q.beta * q.magnitude;
    if (q.kind == quantity_kind::coefficient) {
      return 2 * dd / q.batch + 8 * u * std::fabs(q.expected) + nll;
    }
    double const largest = std::sqrt(q.batch * std::fabs(q.expected));
    return 2 * largest * dd + dd * dd + 8 * u * std::fabs(q.expected) + nll * q.magnitude;
  }
  double operator()(prefer::ipo const&, quantity const& q) const { return squared(q); }
  double operator()(prefer::ipo_sum const&, quantity const& q) const { return squared(q); }
  // |d sigmoid| <= 1/4, |d^2 sigmoid| <= 1 / (6 sqrt 3) < 0.1; S includes what the baseline is made from.
  double operator()(prefer::kto const& loss, quantity const& q) const {
    double const weight = std::fmax(double{loss.desirable_weight}, double{loss.undesirable_weight});
    return bounded(q, weight * q.beta / 4, weight * q.beta * q.beta / 10);
  }
  // Weighted sums change slopes and bends by the weight; here weights are at most 1.
  template <class L>
  double operator()(prefer::scaled_loss<L> const& loss, quantity const& q) const {
    return (*this)(loss.loss, q) + 8 * u * std::fabs(q.expected);
  }
  double operator()(prefer::nll const&, quantity const& q) const {
    return q.kind == quantity_kind::statistic ? bounded(q, 0.0, 0.0) : bounded(q, 1.0, 0.0);
  }
};

}  // namespace

TEST_CASE("golden: every row of our losses agrees in double", "[golden]") {
  auto const passed = passed_rows<double>(
      [](golden::golden_case const& row) { return golden::double_tolerance{row.exact}; });
  CHECK(lines_of(passed) == lines_of(covered));
}

TEST_CASE("golden: every row of our losses agrees in float to its rounding", "[golden]") {
  auto const passed =
      passed_rows<float>([](golden::golden_case const&) { return float_tolerance{}; });
  CHECK(lines_of(passed) == lines_of(covered));
}

TEST_CASE("golden: the float tolerance is too small for half a beta", "[golden]") {
  // What the bounds let through must not hide a wrong formula: evaluate with beta / 2 and see every row fail
  // that the change can reach.
  auto file = family("dpo");
  std::size_t failed = 0;
  std::size_t rows = 0;
  for (auto& fields : file.content["cases"]) {
    if (fields["loss_type"] != "sigmoid" || fields["inputs"] == "equal") continue;
    fields["hyper"]["beta"] = fields["hyper"]["beta"].get<double>() / 2;
  }
  for (auto const& row : golden::cases_of(file)) {
    if (row.loss_type != "sigmoid" || row.inputs_name == "equal") continue;
    auto const outcome = golden::check<float>(row, float_tolerance{});
    if (outcome.status == status::not_covered) continue;
    ++rows;
    failed += outcome.status == status::failed ? 1 : 0;
  }
  CHECK(rows == 16);  // 4 betas x 4 input sets
  CHECK(failed == rows);
}

TEST_CASE("golden: one wrong digit is found, and named", "[golden]") {
  auto file = family("dpo");
  auto& values = file.content["cases"][0]["grad_rejected"];
  values[2] = values[2].get<double>() * (1 + 1e-11);
  auto const row = golden::cases_of(file).front();
  auto const outcome = golden::check(row);
  REQUIRE(outcome.status == status::failed);
  REQUIRE(outcome.mismatches.size() == 1);
  CHECK(outcome.mismatches[0].field == "grad_rejected");
  CHECK(outcome.mismatches[0].index == "2");
  CHECK(outcome.mismatches[0].expected == values[2].get<double>());
}

TEST_CASE("golden: no row of a loss that we lack counts as covered", "[golden]") {
  auto const file = family("dpo");
  for (auto const& row : golden::cases_of(file)) {
    bool const ours =
        row.text("f_divergence_type", "") == "reverse_kl" &&
        (row.loss_type == "sigmoid" || row.loss_type == "hinge" || row.loss_type == "ipo");
    INFO(row.id);
    CHECK((golden::check(row).status != status::not_covered) == ours);
  }
}

TEMPLATE_TEST_CASE("golden: a list of two is TRL's pair", "[golden]", prefer::plackett_luce,
                   prefer::softmax_dpo) {
  auto const file = family("dpo");
  std::size_t rows = 0;
  for (auto const& row : golden::cases_of(file)) {
    if (row.loss_type != "sigmoid" || row.text("f_divergence_type", "") != "reverse_kl") continue;
    ++rows;
    std::vector<double> policy;
    std::vector<double> reference;
    std::vector<std::size_t> offset = {0};
    for (std::size_t i = 0; i < row.input("policy_chosen").size(); ++i) {
      policy.insert(policy.end(), {row.input("policy_chosen")[i], row.input("policy_rejected")[i]});
      reference.insert(reference.end(), {row.input("ref_chosen")[i], row.input("ref_rejected")[i]});
      offset.push_back(policy.size());
    }
    double const beta = row.value("beta", 0.0);
    TestType const loss{.beta = beta};
    auto const result = prefer::evaluate(
        loss, prefer::list_columns{.policy = policy, .reference = reference, .offset = offset});

    auto const near = [&](double got, golden::json const& expected) {
      double const want = expected.get<double>();
      INFO(row.id << " expected " << want << ", got " << got);
      CHECK(std::fabs(got - want) <=
            golden::double_tolerance{}(loss, {.expected = want, .beta = beta}));
    };
    near(result.loss, (*row.fields)["loss"]);
    for (std::size_t i = 0; i + 1 < offset.size(); ++i) {
      near(result.value[i], (*row.fields)["per_pair_loss"][i]);
      near(result.coefficient[2 * i], (*row.fields)["grad_chosen"][i]);
      near(result.coefficient[2 * i + 1], (*row.fields)["grad_rejected"][i]);
    }
  }
  CHECK(rows == 20);
}
