// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <prefer/loss/bco.hpp>

// Golden files: what another implementation says of a loss (schema: tests/golden/README.md), and which of our
// losses means the same (trl_losses.hpp). `losses --check` and tests/golden share this, so both go through
// prefer::evaluate in the same way.

namespace golden {

using json = nlohmann::json;

/// One golden file. Cases refer to its inputs by name.
struct golden_file {
  std::string path;
  json content;
};

/// Reads a golden file and checks its outline.
///
/// Errors  backend_error naming the file and, for broken JSON, the line
golden_file read(std::string const& path);

/// One case of a golden file; refers to it.
struct golden_case {
  std::string id;
  std::string
      family;  // of the inputs and the formula: rows of exact_edges belong to another file's family
  std::string loss_type;
  std::string inputs_name;
  std::string place;   // for messages
  bool exact = false;  // 60-digit values, where TRL's double fails
  bool finite = true;
  json const* hyper = nullptr;
  json const* inputs = nullptr;
  json const* fields = nullptr;

  /// A hyper-parameter; `otherwise` where the case lacks it or has null.
  [[nodiscard]] double value(char const* name, double otherwise) const;
  [[nodiscard]] std::string text(char const* name, std::string const& otherwise) const;
  /// Whether the case has this hyper-parameter, and not as null.
  [[nodiscard]] bool has(char const* name) const;

  [[nodiscard]] bool has_input(char const* name) const { return inputs->contains(name); }
  /// An input; token log-probabilities are added up.
  [[nodiscard]] std::vector<double> input(char const* name) const;
  /// An input of token log-probabilities.
  [[nodiscard]] std::vector<std::vector<double>> token_input(char const* name) const;
  /// Whether log-probabilities are given per token.
  [[nodiscard]] bool per_token() const;
  /// Tokens of each completion where the row has tokens or counts them, else empty.
  [[nodiscard]] std::vector<double> tokens(char const* policy, char const* length) const;
};

std::vector<golden_case> cases_of(golden_file const& file);

/// What is compared: how its rounding behaves follows from which of these it is.
enum class quantity_kind {
  loss,         // of a pair, an example, or the mean of them
  coefficient,  // d mean loss / d log_prob
  statistic     // a reward, a baseline, an NLL: the inputs times a constant
};

/// A number that a golden file holds, as the tolerance sees it.
struct quantity {
  quantity_kind kind = quantity_kind::loss;
  double expected = 0.0;
  double beta = 1.0;
  double magnitude =
      0.0;  // sum of the sizes of what enters the margin (per token where the loss averages)
  double batch = 1.0;       // examples behind the number
  double nll_weight = 0.0;  // of the NLL term per token of the batch, if it has one
  double weight = 1.0;      // of the pair or example (largest of the batch for a mean)
  double exponent = 0.0;    // sum of the sizes of what enters the exponent of that weight
  double stretch =
      1.0;  // largest d (score or log-odds) / d log_prob, 1 where the loss reads log_prob
  double input_size = 0.0;  // largest log-probability behind that score
  std::string shape = {};   // the loss without its weights and scores: "dpo"
};

struct mismatch {
  std::string field;
  std::string index;  // "", "3", "3.7"
  double expected = 0.0;
  double got = 0.0;
};

enum class status {
  passed,
  failed,
  not_covered,
  not_finite,  // TRL's value is not finite somewhere; the finite ones were compared, and ours is never NaN
  saturated  // the old trainer cut an exponential at exp(709.7827); the other pairs agree
};
inline constexpr std::size_t statuses = 5;

/// What became of one case.
struct outcome {
  golden::status status = status::not_covered;
  std::string meaning;  // our expression, or the reason why there is none
  std::vector<mismatch> mismatches = {};
  std::size_t numbers = 0;  // compared
};

/// The largest difference that is not a mismatch.
using tolerance = std::function<double(golden_case const&, quantity const&)>;

/// The tolerance of the golden files' README: what separates two careful double computations.
double double_tolerance(golden_case const& row, quantity const& q);

/// What policy and reference columns are stored as, hence the precision of the evaluation.
enum class precision { in_double, in_float };

/// What BCO keeps from batch to batch.
struct run_so_far {
  prefer::bco::memory memory;
  double largest = 0.0;  // size of the log-probabilities behind a reward
};

/// Runs cases through prefer::evaluate, and compares what both hold.
///
/// Rows of BCO with one `run` share a memory: check them in the order of their file.
class checker {
 public:
  explicit checker(precision columns = precision::in_double, tolerance allowed = double_tolerance);

  /// Errors  backend_error for a case that is not of the schema
  outcome check(golden_case const& row);

 private:
  precision columns_;
  tolerance allowed_;
  std::map<double, run_so_far> runs_;  // by number
};

}  // namespace golden
