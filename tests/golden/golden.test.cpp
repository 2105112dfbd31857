// SPDX-License-Identifier: MIT
#include <cmath>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/loss/plackett_luce.hpp>
#include <prefer/loss/softmax_dpo.hpp>
#include <prefer/objective/evaluate.hpp>

#include "golden.hpp"

namespace {

using golden::golden_case;
using golden::precision;
using golden::quantity;
using golden::quantity_kind;
using golden::status;

/// Rows of each file; their sum is 1,838 of TRL and 211 of 60 digits.
std::map<std::string, std::size_t> const rows_of = {
    {"bco", 32},         {"cpo", 408}, {"dpo", 632},   {"dpo_legacy", 152},
    {"dpo_tokens", 230}, {"kto", 192}, {"nash_md", 8}, {"orpo", 32},
    {"online_dpo", 48},  {"tpo", 72},  {"xpo", 32},    {"exact_edges", 211}};

golden::golden_file family(std::string const& name) {
  return golden::read(std::string(PREFER_GOLDEN_DIR) + "/" + name + ".json");
}

std::string describe(golden_case const& row, golden::outcome const& outcome) {
  auto const& first = outcome.mismatches.front();
  std::ostringstream out;
  out.precision(17);
  out << row.id << " as " << outcome.meaning << ": " << first.field << '[' << first.index
      << "] expected " << first.expected << ", got " << first.got << "; "
      << outcome.mismatches.size() - 1 << " more";
  return out.str();
}

/// What became of the rows of all files.
struct tally {
  std::map<std::string, std::size_t> seen;  // rows by file
  std::size_t passed = 0;
  std::size_t not_finite = 0;
  std::set<std::string> saturated;
};

template <class Skip>
tally check_all(precision columns, golden::tolerance const& allowed, Skip const& skip) {
  tally out;
  for (auto const& [name, rows] : rows_of) {
    auto const file = family(name);
    golden::checker checker(columns, allowed);
    for (auto const& row : golden::cases_of(file)) {
      if (skip(row)) continue;
      auto const outcome = checker.check(row);
      INFO(row.id << " as " << outcome.meaning);
      CHECK(outcome.status != status::not_covered);
      CHECK(outcome.numbers > 0);
      if (outcome.status == status::failed) FAIL_CHECK(describe(row, outcome));
      CHECK((outcome.status == status::not_finite) == !row.finite);
      ++out.seen[name];
      out.passed += outcome.status == status::passed ? 1 : 0;
      out.not_finite += outcome.status == status::not_finite ? 1 : 0;
      if (outcome.status == status::saturated) out.saturated.insert(row.id);
    }
  }
  return out;
}

/// Finite numbers in an output field.
std::size_t numbers_in(golden::json const& value) {
  if (value.is_number()) return 1;
  std::size_t count = 0;
  if (value.is_structured()) {
    for (auto const& each : value) count += numbers_in(each);
  }
  return count;
}

/// Every finite number that a row holds as an output, but those that no function here computes from the row's columns
/// alone (class means, AlphaPO's curved rewards, mean log-odds) and an NLL that TRL did not compute.
std::size_t outputs_of(golden_case const& row) {
  std::set<std::string> const no_output = {
      "id", "loss_type",    "inputs",         "hyper",  "source",         "finite",
      "of", "chosen_index", "rejected_index", "logged", "log_odds_chosen"};
  std::size_t count = 0;
  for (auto const& [name, value] : row.fields->items()) {
    if (no_output.count(name) != 0) continue;
    bool const reward = name == "chosen_rewards" || name == "rejected_rewards";
    if (reward && row.family == "cpo" && row.value("alpha", 0.0) != 0.0) continue;
    if (name == "nll" && row.family == "cpo" && row.value("cpo_alpha", 0.0) == 0.0) continue;
    count += numbers_in(value);
  }
  return count;
}

// How far float may be off, derived, not measured. u = 2^-24 is half the distance of floats at 1, so an input x
// arrives as x (1 + d), |d| <= u, and every operation adds one such factor.
//
// Margin m: sums and differences of inputs whose sizes add up to S (`magnitude`, per token where the loss averages).
// Rounding the inputs moves m by at most u S, two subtractions by at most u S each, a division by the length by
// u S: |dm| <= 4 u S, and 8 u S leaves room for second orders and for multiplying by a beta that is itself rounded.
//
// Value: where |d loss / dm| <= slope, slope |dm| + 8 u (|loss| + size); the last is the primitives' own error and
// that of the last operations, where terms as large as `size` cancel. Mean: the same with the largest S of the batch.
// Coefficient: where |d^2 loss / dm^2| <= bend, (bend |dm| + 8 u slope) / B. S of the `far` inputs is 2e4, so relative
// to m of the same size this is about 1e-5.
//
// Scores phi(u) in place of log-ratios (f-divergences, AlphaPO, log-odds): S is then the sum of phi' |inputs| + |phi|
// + 2, how far the inputs' and phi's own rounding move the score; a coefficient has the factor phi' (`stretch`), whose
// relative error is at most that of u, 8 u times the inputs' size, because |phi''| <= phi' for all of them.
//
// What is below float's smallest normal number, 1.2e-38, may be 0, once in each of a few factors.
//
// Weights w = exp(a) of pairs: a factor w everywhere, and a relative error of 8 u (|a|'s terms + 1).
struct curve {
  double slope;  // in units of z = beta * m
  double bend;
  double size;
};

constexpr double u = 0x1p-24;
constexpr double underflow = 4e-38;

double bounded(quantity const& q, curve const& of) {
  double const dm = 8 * u * q.magnitude;
  double const slope = of.slope * q.beta;
  double const nll = q.nll_weight * 8 * u;  // its coefficient is at most 1, its value at most S
  double const of_weight = 8 * u * (q.exponent + 1.0);
  if (q.kind == quantity_kind::loss) {
    double const own = slope * dm + 8 * u * of.size;
    double const largest = slope * q.magnitude + of.size + 1.0;
    return underflow + q.weight * own + 8 * u * std::fabs(q.expected) +
           (q.exponent == 0.0 ? 0.0 : q.weight * of_weight * largest) + nll * q.magnitude;
  }
  double const own = (of.bend * q.beta * q.beta * dm + 8 * u * slope) * q.stretch;
  return underflow + (q.weight * own) / q.batch +
         (of_weight + 8 * u * q.input_size) * std::fabs(q.expected) + nll;
}

// loss = d^2, or two such squares, with d = m +- 1 / (2 beta). A mean of B squares bounds each |d| by
// sqrt(B loss / w), and |dd| <= |dm| + 4 u / beta for both together.
double squared(quantity const& q) {
  double const dd = 8 * u * q.magnitude + 4 * u / q.beta;
  double const nll = q.nll_weight * 8 * u;
  double const relative = 8 * u * (q.exponent + 1.0);
  if (q.kind == quantity_kind::coefficient) {
    return q.weight * 2 * dd * q.stretch / q.batch +
           (relative + 8 * u * q.input_size) * std::fabs(q.expected) + nll;
  }
  double const largest = std::sqrt(q.batch * std::fabs(q.expected) / q.weight);
  return q.weight * (2 * largest * dd + dd * dd) + relative * std::fabs(q.expected) +
         nll * q.magnitude;
}

double float_tolerance(golden_case const& row, quantity const& q) {
  if (q.kind == quantity_kind::statistic) return 8 * u * q.beta * q.magnitude;
  double const smoothing = row.value("label_smoothing", 0.0);
  std::string const& shape = q.shape;
  // |d softplus| <= 1, |d^2 softplus| <= 1/4; smoothing adds a linear term of slope < 1/2.
  curve const logistic = {1.5, 0.25, 0.0};
  if (shape == "dpo" || shape == "aot" || shape == "bco" || shape == "bco_pair") {
    return bounded(q, logistic);
  }
  if (shape == "simpo") {
    double const gamma = std::fabs(row.value("simpo_gamma", row.value("tpo_l_gamma", 0.0)));
    return bounded(q, {1.5, 0.25, gamma}) + 2 * u * gamma * q.beta * q.stretch / q.batch;
  }
  // beta is a factor of the whole loss, not of the margin.
  if (shape == "odds_ratio") return bounded(q, {1.0, 0.25 / q.beta, 0.0});
  if (shape == "nca_pair") return bounded(q, {1.0, 0.375, 0.0});
  // No golden pair is within rounding of the kink, where the coefficient jumps: there this test would fail.
  if (shape == "hinge") return bounded(q, {1.0, 0.0, 1.0});  // the 1 in 1 - z
  if (shape == "robust_dpo") {
    return bounded(q, {1.5 + smoothing / (1.0 - 2.0 * smoothing), 0.25, 0.0});
  }
  // slope sigma'(z) (z - best), best = log((1 - e) / e): |sigma'| <= 1/4, |z sigma'| < 0.23, |sigma''| < 0.1,
  // |z sigma''| < 0.16. Terms as large as 2 best + 2 cancel in the value.
  if (shape == "exo_pair") {
    double const best = std::log((1.0 - smoothing) / smoothing);
    return bounded(q, {best / 4 + 0.25, best / 10 + 0.45, 2 * best + 2});
  }
  // |d sigmoid| <= 1/4, |d^2 sigmoid| <= 1 / (6 sqrt 3) < 0.1, once or twice; for KTO S includes what the baseline is
  // made from.
  if (shape == "apo_zero" || shape == "kto") return bounded(q, {0.25, 0.1, 0.0});
  if (shape == "apo_down") return bounded(q, {0.5, 0.2, 0.0});
  // s = sigmoid(z / t), g = exp(-z) - softplus(-z), t <= 1/2: |s' g| <= 1 / t and |s'' g| <= 1 / t^2, because
  // exp(-|z| / t) outweighs exp(|z|); what remains of the slope is at most 2, of the bend 2 / t + 5/4. The slope's own
  // terms are at most 2 / t + 3.
  if (shape == "discopop") {
    double const t = row.value("discopop_tau", 0.05);
    return bounded(q, {2 / t + 3, 1 / (t * t) + 2 / t + 1.25, 4.0});
  }
  if (shape == "ipo" || shape == "sppo_hard") return squared(q);
  if (shape == "dpo + ipo") {
    // Both terms' errors; the squared one's share of the number is at most the number and what dpo can add to it.
    double const w_dpo = row.hyper->at("loss_weights").at(0).get<double>();
    double const w_ipo = row.hyper->at("loss_weights").at(1).get<double>();
    quantity of_ipo = q;
    bool const coefficient = q.kind == quantity_kind::coefficient;
    of_ipo.expected =
        (std::fabs(q.expected) + (coefficient ? w_dpo * q.beta / q.batch : 0.0)) / w_ipo;
    return w_dpo * bounded(q, logistic) + w_ipo * squared(of_ipo);
  }
  if (shape == "nll_per_batch_token" || shape == "optimism") {
    return bounded(q, {1.0 / q.beta, 0.0, 0.0});
  }
  // The magnitude is already that of the number.
  if (shape == "nash_md") return 8 * u * q.magnitude / q.batch;
  FAIL("no float tolerance for " + shape);
  return 0.0;
}

/// Rows whose exponentials leave float (above exp(80)), so that no bound of rounding says anything about them: scores of
/// `far` log-ratios under divergences with exponential scores, and AlphaPO's powers of deep log-probabilities.
bool beyond_float(golden_case const& row) {
  auto const ends_in = [&](std::string const& tail) {
    auto const& name = row.inputs_name;
    return name.size() >= tail.size() && name.substr(name.size() - tail.size()) == tail;
  };
  std::string const divergence = row.text("f_divergence_type", "reverse_kl");
  bool const linear =
      divergence == "alpha_divergence" && row.value("f_alpha_divergence_coef", 0.0) == 1.0;
  bool const exponential = divergence == "forward_kl" || divergence == "alpha_divergence";
  if (exponential && !linear && ends_in("far")) return true;
  return row.family == "cpo" && row.value("alpha", 0.0) > 0.0 &&
         (ends_in("sum_far") || ends_in("avg_deep"));
}

}  // namespace

TEST_CASE("golden: every row of every file agrees in double", "[golden]") {
  auto const all = check_all(precision::in_double, golden::double_tolerance,
                             [](golden_case const&) { return false; });
  CHECK(all.seen == rows_of);
  std::size_t rows = 0;
  for (auto const& [name, count] : all.seen) rows += count;
  CHECK(rows == 1838 + 211);
  CHECK(all.not_finite == 94 + 60);  // as the files say, row by row: `finite` is false
  CHECK(all.passed + all.not_finite + all.saturated.size() == rows);
  // The old trainer's alpha divergence cuts exponentials at exp(709.7827).
  std::set<std::string> const cut = {"dpo_legacy/0122", "dpo_legacy/0126", "dpo_legacy/0130",
                                     "dpo_legacy/0134"};
  CHECK(all.saturated == cut);
}

TEST_CASE("golden: every row of every file agrees in float to its rounding", "[golden]") {
  std::size_t skipped = 0;
  auto const all = check_all(precision::in_float, float_tolerance, [&](golden_case const& row) {
    bool const skip = beyond_float(row);
    skipped += skip ? 1 : 0;
    return skip;
  });
  std::size_t rows = 0;
  for (auto const& [name, count] : all.seen) rows += count;
  CHECK(rows + skipped == 1838 + 211);
  CHECK(all.passed + all.not_finite == rows);
  // dpo: 7 losses x 2 betas x 4 divergences with exponential scores, and cpo: AlphaPO's positive power at 4 betas, with
  // and without 2 gammas, on 2 inputs; each with its exact row. dpo_legacy: 4 powers x 2 betas.
  CHECK(skipped == 2 * (7 * 2 * 4 + 4 * 3 * 2) + 4 * 2);
}

TEST_CASE("golden: every output of every row is compared", "[golden]") {
  std::size_t total = 0;
  for (auto const& [name, rows] : rows_of) {
    auto const file = family(name);
    golden::checker checker;
    for (auto const& row : golden::cases_of(file)) {
      auto const outcome = checker.check(row);
      INFO(row.id);
      CHECK(outcome.numbers == outputs_of(row));
      total += outcome.numbers;
    }
  }
  CHECK(total == 47924);
}

TEST_CASE("golden: the float tolerance is too small for half a beta", "[golden]") {
  // What the bounds let through must not hide a wrong formula: evaluate with beta / 2 and see every row of ordinary
  // inputs fail, whatever the loss.
  std::size_t rows = 0;
  for (auto const& [name, count] : rows_of) {
    auto file = family(name);
    for (auto& fields : file.content["cases"]) {
      fields["hyper"]["beta"] = fields["hyper"]["beta"].get<double>() / 2;
    }
    golden::checker checker(precision::in_float, float_tolerance);
    for (auto const& row : golden::cases_of(file)) {
      bool const ordinary = row.inputs_name == "rand" || row.inputs_name == "avg_rand" ||
                            row.inputs_name == "tok_rand" || row.inputs_name == "step0";
      // Likelihood alone has no beta.
      if (!ordinary || row.loss_type == "sft" || !row.finite) continue;
      ++rows;
      INFO(row.id << " " << row.loss_type);
      CHECK(checker.check(row).status == status::failed);
    }
  }
  CHECK(rows > 400);
}

TEST_CASE("golden: one wrong digit is found, and named", "[golden]") {
  auto file = family("dpo");
  auto& values = file.content["cases"][0]["grad_rejected"];
  values[2] = values[2].get<double>() * (1 + 1e-11);
  auto const row = golden::cases_of(file).front();
  auto const outcome = golden::checker().check(row);
  REQUIRE(outcome.status == status::failed);
  REQUIRE(outcome.mismatches.size() == 1);
  CHECK(outcome.mismatches[0].field == "grad_rejected");
  CHECK(outcome.mismatches[0].index == "2");
  CHECK(outcome.mismatches[0].expected == values[2].get<double>());
}

TEST_CASE("golden: a loss that we lack is not covered", "[golden]") {
  for (auto const& [name, count] : rows_of) {
    auto file = family(name);
    for (auto& fields : file.content["cases"]) fields["loss_type"] = "no_such_type";
    golden::checker checker;
    for (auto const& row : golden::cases_of(file)) {
      INFO(row.id);
      auto const outcome = checker.check(row);
      CHECK(outcome.status == status::not_covered);
      CHECK(outcome.numbers == 0);
    }
  }
  auto file = family("dpo");
  for (auto& fields : file.content["cases"]) {
    fields["hyper"]["f_divergence_type"] = "total_variation";
  }
  auto const row = golden::cases_of(file).front();
  CHECK(golden::checker().check(row).status == status::not_covered);
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
            golden::double_tolerance(row, {.expected = want, .beta = beta}));
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
