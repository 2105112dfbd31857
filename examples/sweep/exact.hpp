// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "problem.hpp"

namespace sweep {

/// One number for each completion that there is, by its id.
using numbers = std::vector<double>;

/// scores - log sum exp(scores): log-probabilities, nats.
[[nodiscard]] numbers log_softmax(numbers scores);

/// sum_y exp(log_prob(y)) * value(y)
[[nodiscard]] double expectation(numbers const& log_prob, numbers const& value);
/// KL(p || q) of log-probabilities, nats.
[[nodiscard]] double divergence(numbers const& p, numbers const& q);
/// log_prob of base * exp(tilt * value) / Z
[[nodiscard]] numbers tilted(numbers base, numbers const& value, double tilt);

/// Annotators' odds: P(first is preferred) = sigmoid(label_sharpness * (R_first - R_second)).
inline constexpr double label_sharpness = 2.0;

/// What kind of number a seed draws: each kind has its own, so that one changes nothing about another.
enum class drawn : std::uint16_t { start, reward, far, taste, annotator };

/// Independent N(0, spread^2).
[[nodiscard]] numbers draw_normal(std::size_t count, std::uint64_t seed, drawn what, double spread);

/// Whether the biased annotator labels pair `index`.
[[nodiscard]] bool by_taste(std::uint64_t seed, std::uint64_t index, label_noise const& noise);
/// What an annotator says of two completions.
struct label {
  bool first_is_chosen = true;
  double seen = 0.0;  ///< by how much they saw the chosen one above the other
};

/// Whether that label is turned round. What is at a low rate is at a higher one as well.
[[nodiscard]] bool flipped(std::uint64_t seed, std::uint64_t index, label_noise const& noise);

/// What one seed draws for a task over one prompt whose completions can be listed.
struct exact_numbers {
  numbers start;                             ///< log_prob of the start policy, nats
  numbers reward;                            ///< true reward
  numbers taste;                             ///< what the biased annotator likes
  std::map<std::string, numbers> reference;  ///< log_prob by name, nats
};

/// A policy over tokens in a row: what `prefer::bigram` is made of. Completions are numbered as
/// token_table::all_of_length numbers them, and the prompt is token 0.
struct token_policy {
  std::size_t vocabulary = 0;
  std::size_t length = 0;  ///< tokens of every completion
  numbers logits;          ///< [vocabulary, vocabulary]
};

/// A problem over one prompt whose completions can be listed: rewards, divergences and the frontier are sums
/// over all of them. Only the policy, `start`, is left to the task.
///
///   pairs    two independent draws from start;  P(first is labelled chosen) = sigmoid(2 (R_first - R_second))
///
/// A pair of twice the same completion teaches nothing, but counts: the mean loss divides by all that were
/// drawn. The biased annotator always prefers what has more of `taste`.
///
/// That probability is the one of an annotator who sees R_first - R_second through noise, half a number with
/// the logistic distribution, and prefers what seems to have more. What they saw goes into ordered scores: its
/// size is in keeping with the label. A label that is turned round turns what was seen with it; who goes by taste sees
/// the gap in taste.
class exact_problem : public problem {
 public:
  exact_problem(exact_numbers all, std::size_t drawn, std::uint64_t seed, label_noise const& noise);

  [[nodiscard]] std::size_t pairs() const override { return completion_.size() / 2; }
  [[nodiscard]] std::size_t drawn() const override { return drawn_; }
  [[nodiscard]] sides scores(prefer::score_kind kind) const override;
  [[nodiscard]] std::optional<optimum> best(double beta) const override;

  /// The start as a policy that writes.
  [[nodiscard]] virtual token_policy start_tokens() const = 0;
  /// Numbers that make up the start.
  [[nodiscard]] virtual std::size_t start_parameters() const = 0;
  /// What the annotator who labels pair `index` says of two completions; `u` in [0, 1) is their doubt.
  [[nodiscard]] label annotated(std::uint32_t first, std::uint32_t second, double u,
                                std::uint64_t index) const;

  [[nodiscard]] exact_numbers const& all() const { return all_; }
  /// Chosen and rejected of each pair side by side.
  [[nodiscard]] std::vector<std::uint32_t> const& completions() const { return completion_; }
  /// Judges a policy by the log_prob that it and its reference, if any, give every completion.
  [[nodiscard]] judgement judge(numbers const& policy, numbers const* reference) const;
  /// The most reward that any policy gets within `kl` nats of the start.
  [[nodiscard]] double best_reward(double kl) const;

 private:
  exact_numbers all_;
  std::size_t drawn_;
  std::uint64_t seed_;
  label_noise noise_;
  std::vector<std::uint32_t> completion_;
  std::vector<double> seen_;  // by how much the annotator saw chosen above rejected
};

}  // namespace sweep
