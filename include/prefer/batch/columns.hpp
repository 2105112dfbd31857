// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <prefer/batch/column.hpp>
#include <prefer/expects.hpp>
#include <prefer/scalar/probe.hpp>
#include <prefer/scalar/scalar.hpp>

// What a batch holds, column by column, and what a formula sees of one example. A column is added here and nowhere
// else: its name, its description, its place in a kind of columns and in that kind's record. Checks, gathering,
// matching, loading and diagnosis go by the descriptions.

namespace prefer::inline v0_1 {

/// The columns that a record can offer to a formula; and the weight, which no formula sees.
enum class column_name : std::uint32_t {
  policy = 1u << 0,
  reference = 1u << 1,
  length = 1u << 2,
  label = 1u << 3,
  target_margin = 1u << 4,
  beta = 1u << 5,
  score = 1u << 6,
  chosen_from_reference = 1u << 7,
  uniform = 1u << 8,
  divergence = 1u << 9,
  alignment = 1u << 10,
  perturbed_toward = 1u << 11,
  perturbed_away = 1u << 12,
  weight = 1u << 13,
  kl_policy = 1u << 14,
  kl_reference = 1u << 15,
  value_estimate = 1u << 16,
  behaviour = 1u << 17,
  behaviour_value = 1u << 18,
  value_target = 1u << 19,
};

/// What the numbers of a column are, and so which numbers they can be.
enum class column_rule : std::uint8_t {
  log_prob,      ///< the log-probability of a completion, nats: at most 0
  divergence,    ///< a divergence, nats: at least 0
  tokens,        ///< a count of tokens, greater than zero
  truth,         ///< true or 1; false or 0
  positive,      ///< greater than zero
  non_negative,  ///< zero or greater
  uniform,       ///< in [0, 1)
  probability,   ///< in [0, 1]
  finite,        ///< any number
};

/// What is known of a column wherever it stands. The name and the rule are constants of the type.
template <column_name Name, column_rule Rule>
struct column_description {
  static constexpr column_name name = Name;
  static constexpr column_rule rule = Rule;

  char const* spelling;  ///< as messages have it

  constexpr operator column_name() const { return Name; }  // NOLINT(google-explicit-constructor)
};

/// The columns, described.
namespace described {

template <column_name Name, column_rule Rule>
using is = column_description<Name, Rule>;
using n = column_name;

/// log-probabilities under the policy
inline constexpr is<n::policy, column_rule::log_prob> policy{"policy"};
/// log-probabilities under the reference
inline constexpr is<n::reference, column_rule::log_prob> reference{"reference"};
/// completion tokens that count
inline constexpr is<n::length, column_rule::tokens> length{"length"};
/// desirable or not
inline constexpr is<n::label, column_rule::truth> label{"label"};
/// the margin asked for, nats
inline constexpr is<n::target_margin, column_rule::finite> target_margin{"target_margin"};
/// in place of the loss's own
inline constexpr is<n::beta, column_rule::positive> beta{"beta"};
/// reward, or probability of winning
inline constexpr is<n::score, column_rule::finite> score{"score"};
/// who wrote the chosen completion
inline constexpr is<n::chosen_from_reference, column_rule::truth> chosen_from_reference{
    "chosen_from_reference"};
/// a random number
inline constexpr is<n::uniform, column_rule::uniform> uniform{"uniform"};
/// KL of the policy's token distributions, nats; carries a gradient
inline constexpr is<n::divergence, column_rule::divergence> divergence{"divergence"};
/// how on-policy a completion is, nats
inline constexpr is<n::alignment, column_rule::finite> alignment{"alignment"};
/// log-probabilities of the policy moved along its path towards the reference
inline constexpr is<n::perturbed_toward, column_rule::log_prob> perturbed_toward{
    "perturbed_toward"};
/// the same, moved away from the reference
inline constexpr is<n::perturbed_away, column_rule::log_prob> perturbed_away{"perturbed_away"};
/// what a value head expects of a completion, in the unit of its score; carries a gradient
inline constexpr is<n::value_estimate, column_rule::finite> value_estimate{"value_estimate"};
/// log-probabilities under the policy that wrote the completions
inline constexpr is<n::behaviour, column_rule::log_prob> behaviour{"behaviour"};
/// value estimates of the policy that wrote the completions
inline constexpr is<n::behaviour_value, column_rule::finite> behaviour_value{"behaviour_value"};
/// what a value estimate is meant to be
inline constexpr is<n::value_target, column_rule::finite> value_target{"value_target"};
/// multiplies each example's loss
inline constexpr is<n::weight, column_rule::non_negative> weight{"weight"};
/// completions of other prompts, for KTO's baseline
inline constexpr is<n::kl_policy, column_rule::log_prob> kl_policy{"kl_examples.policy"};
inline constexpr is<n::kl_reference, column_rule::log_prob> kl_reference{"kl_examples.reference"};

}  // namespace described

/// What a column has one number for: a completion (of pairs: two columns, one for each side), an example (a pair, a
/// labelled completion, a list), or a completion of another prompt.
enum class per : std::uint8_t { completion, example, kl_example };

/// Which completions of pairs a column is about; `only` where there are no sides.
enum class column_side : std::uint8_t { only, chosen, rejected };

namespace detail {

/// A column that may be absent. Whether it is does not vary within a batch.
template <class P>
struct optional_value {
  bool present = false;
  P value = P(0.0);

  [[nodiscard]] constexpr P value_or(double otherwise) const {
    return present ? value : P(otherwise);
  }
};

template <class P>
using mask_of = decltype(P(0.0) > P(0.0));

}  // namespace detail

/// One completion as a formula sees it. Only what the policy says carries derivatives: log_prob, divergence of pairs and
/// value_estimate of single completions.
template <class S>
struct completion_record {
  using primal = primal_t<S>;

  S log_prob;                       // nats, summed over the completion
  primal reference_log_prob = 0.0;  // nats
  primal completion_length = 1.0;   // tokens
  primal score = 0.0;               // a reward, or a probability of winning

  // Of pairs only, and only from a policy over tokens.
  S divergence = S(0.0);   // sum over tokens of KL(reference || policy), nats
  primal alignment = 0.0;  // mean over tokens of log p(token) - log sum_v p(v)^2, nats
  primal perturbed_toward_log_prob = 0.0;  // of the policy moved towards the reference, nats
  primal perturbed_away_log_prob = 0.0;    // of the policy moved away from the reference, nats
  S value_estimate = S(0.0);               // of a value head, in the unit of score

  /// log_prob under the policy minus under the reference, nats.
  [[nodiscard]] constexpr S log_ratio() const { return log_prob - reference_log_prob; }
  /// log_prob per token, nats.
  [[nodiscard]] constexpr S mean_log_prob() const { return log_prob / completion_length; }
  /// log_ratio per token, nats.
  [[nodiscard]] constexpr S mean_log_ratio() const { return log_ratio() / completion_length; }

  /// visit(description, member) for every member that a column fills.
  static constexpr void describe(auto& self, auto&& visit) {
    visit(described::policy, self.log_prob);
    visit(described::reference, self.reference_log_prob);
    visit(described::length, self.completion_length);
    visit(described::score, self.score);
    visit(described::divergence, self.divergence);
    visit(described::alignment, self.alignment);
    visit(described::perturbed_toward, self.perturbed_toward_log_prob);
    visit(described::perturbed_away, self.perturbed_away_log_prob);
    visit(described::value_estimate, self.value_estimate);
  }
};

/// A preference pair as a formula sees it.
template <class S>
struct pair_record {
  using primal = primal_t<S>;

  completion_record<S> chosen;
  completion_record<S> rejected;
  detail::optional_value<primal> pair_beta = {};
  detail::optional_value<primal> pair_target_margin = {};
  detail::mask_of<primal> chosen_from_reference{};  // a condition for select
  primal uniform = 0.0;                             // a random number in [0, 1)

  /// log_ratio of chosen minus of rejected, nats: the reward margin before beta.
  [[nodiscard]] constexpr S log_ratio_margin() const {
    return (chosen.log_prob - rejected.log_prob) -
           (chosen.reference_log_prob - rejected.reference_log_prob);
  }
  /// log_prob of chosen minus of rejected, nats: the margin of a loss without a reference.
  [[nodiscard]] constexpr S log_prob_margin() const { return chosen.log_prob - rejected.log_prob; }

  /// This pair's own beta where the batch has such a column, else the loss's.
  [[nodiscard]] constexpr primal beta_or(double beta) const { return pair_beta.value_or(beta); }
  /// This pair's own target margin where the batch has such a column, else the loss's.
  [[nodiscard]] constexpr primal target_margin_or(double margin) const {
    return pair_target_margin.value_or(margin);
  }

  /// Beside those of the two completions.
  static constexpr void describe(auto& self, auto&& visit) {
    visit(described::beta, self.pair_beta);
    visit(described::target_margin, self.pair_target_margin);
    visit(described::chosen_from_reference, self.chosen_from_reference);
    visit(described::uniform, self.uniform);
  }
};

/// A labelled completion as a formula sees it.
template <class S>
struct unpaired_record : completion_record<S> {
  using primal = primal_t<S>;

  detail::mask_of<primal> desirable{};  // a condition for select
  detail::optional_value<primal> example_beta = {};
  primal behaviour_log_prob = 0.0;  // under the policy that wrote it, nats
  primal behaviour_value = 0.0;     // the value estimate of that policy
  primal value_target = 0.0;        // what value_estimate is meant to be

  [[nodiscard]] constexpr primal beta_or(double beta) const { return example_beta.value_or(beta); }
  /// log_prob minus that of the policy that wrote it, nats: 0 until the policy moves.
  [[nodiscard]] constexpr S behaviour_log_ratio() const {
    return this->log_prob - behaviour_log_prob;
  }

  static constexpr void describe(auto& self, auto&& visit) {
    completion_record<S>::describe(self, visit);
    visit(described::label, self.desirable);
    visit(described::beta, self.example_beta);
    visit(described::behaviour, self.behaviour_log_prob);
    visit(described::behaviour_value, self.behaviour_value);
    visit(described::value_target, self.value_target);
  }
};

/// The completions of one prompt as a formula sees them, in the order of the batch.
///
/// `at(i)` makes a completion_record on demand, so a list of any length needs no storage.
template <class S, class At>
class list_record {
 public:
  using scalar = S;
  using primal = primal_t<S>;

  constexpr list_record(std::size_t size, At at, detail::optional_value<primal> beta = {})
      : size_(size), at_(at), beta_(beta) {}

  [[nodiscard]] constexpr std::size_t size() const { return size_; }
  [[nodiscard]] constexpr completion_record<S> operator[](std::size_t i) const { return at_(i); }
  [[nodiscard]] constexpr primal beta_or(double beta) const { return beta_.value_or(beta); }

  /// Beside those of the completions.
  static constexpr void describe(auto& self, auto&& visit) { visit(described::beta, self.beta_); }

 private:
  std::size_t size_;
  At at_;
  detail::optional_value<primal> beta_;
};

// The kinds of columns. C is a backend's type of column: `column` is a view of numbers in memory. Each kind has
//
//   describe(self, visit)   calls visit(description, per, member) for every column, in a fixed order
//   size()                  the number of examples
//   rows(per)               how many numbers its columns hold, each for what it has one number for

namespace detail {

[[nodiscard]] constexpr column_set columns_present(auto const& batch) {
  column_set set;
  std::remove_cvref_t<decltype(batch)>::describe(batch, [&](auto is, per, auto const& member) {
    if (member.present()) set = set | is.name;
  });
  return set;
}

}  // namespace detail

/// One number for each pair's chosen and rejected completion.
template <class C>
struct basic_completions {
  C chosen;
  C rejected;

  [[nodiscard]] constexpr bool present() const { return chosen.present() && rejected.present(); }
};
using completions = basic_completions<column>;

/// B preference pairs as columns of numbers. Absent columns are left out.
template <class C>
struct basic_pair_columns {
  basic_completions<C> policy;           ///< log_prob, nats [B]
  basic_completions<C> reference = {};   ///< log_prob, nats [B]
  basic_completions<C> length = {};      ///< completion tokens that count [B]
  basic_completions<C> score = {};       ///< reward, or probability of winning [B]
  basic_completions<C> divergence = {};  ///< KL of the policy's token distributions, nats [B]
  basic_completions<C> alignment = {};   ///< mean log-probability over its expectation, nats [B]
  basic_completions<C> perturbed_toward = {};  ///< of the policy moved to the reference, nats [B]
  basic_completions<C> perturbed_away = {};    ///< of the policy moved away from it, nats [B]
  C weight = {};                 ///< multiplies each pair's loss [B]; the mean still divides by B
  C beta = {};                   ///< one beta per pair, in place of the loss's own [B]
  C target_margin = {};          ///< the margin asked for, per pair, nats [B]
  C chosen_from_reference = {};  ///< true or 1: the reference wrote chosen, the policy rejected [B]
  C uniform = {};                ///< a random number in [0, 1) per pair [B]

  static constexpr void describe(auto& self, auto&& visit) {
    visit(described::policy, per::completion, self.policy);
    visit(described::reference, per::completion, self.reference);
    visit(described::length, per::completion, self.length);
    visit(described::score, per::completion, self.score);
    visit(described::divergence, per::completion, self.divergence);
    visit(described::alignment, per::completion, self.alignment);
    visit(described::perturbed_toward, per::completion, self.perturbed_toward);
    visit(described::perturbed_away, per::completion, self.perturbed_away);
    visit(described::weight, per::example, self.weight);
    visit(described::beta, per::example, self.beta);
    visit(described::target_margin, per::example, self.target_margin);
    visit(described::chosen_from_reference, per::example, self.chosen_from_reference);
    visit(described::uniform, per::example, self.uniform);
  }

  [[nodiscard]] constexpr std::size_t size() const { return policy.chosen.size(); }
  [[nodiscard]] constexpr std::size_t rows(per) const { return size(); }
  [[nodiscard]] constexpr column_set available() const { return detail::columns_present(*this); }
};
using pair_columns = basic_pair_columns<column>;

/// A policy's and a reference's log-probabilities of the same completions.
template <class C>
struct basic_scored_completions {
  C policy = {};
  C reference = {};
};
using scored_completions = basic_scored_completions<column>;

/// B unpaired completions, each labelled desirable or not.
template <class C>
struct basic_unpaired_columns {
  C policy;                                      ///< log_prob, nats [B]
  C reference = {};                              ///< log_prob, nats [B]
  C label = {};                                  ///< true or 1: desirable; false or 0 [B]
  C length = {};                                 ///< completion tokens that count [B]
  C score = {};                                  ///< reward, or probability of winning [B]
  C weight = {};                                 ///< multiplies each example's loss [B]
  C beta = {};                                   ///< one beta per example [B]
  basic_scored_completions<C> kl_examples = {};  ///< of other prompts, for KTO's baseline [M]
  C value_estimate = {};                         ///< of the policy's value head, as score is [B]
  C behaviour = {};        ///< log_prob under the policy that wrote them, nats [B]
  C behaviour_value = {};  ///< its value estimates [B]
  C value_target = {};     ///< what value_estimate is meant to be [B]

  static constexpr void describe(auto& self, auto&& visit) {
    visit(described::policy, per::completion, self.policy);
    visit(described::reference, per::completion, self.reference);
    visit(described::label, per::example, self.label);
    visit(described::length, per::completion, self.length);
    visit(described::score, per::completion, self.score);
    visit(described::weight, per::example, self.weight);
    visit(described::beta, per::example, self.beta);
    visit(described::kl_policy, per::kl_example, self.kl_examples.policy);
    visit(described::kl_reference, per::kl_example, self.kl_examples.reference);
    visit(described::value_estimate, per::completion, self.value_estimate);
    visit(described::behaviour, per::completion, self.behaviour);
    visit(described::behaviour_value, per::completion, self.behaviour_value);
    visit(described::value_target, per::completion, self.value_target);
  }

  [[nodiscard]] constexpr std::size_t size() const { return policy.size(); }
  [[nodiscard]] constexpr std::size_t rows(per what) const {
    return what == per::kl_example ? kl_examples.policy.size() : size();
  }
  [[nodiscard]] constexpr column_set available() const { return detail::columns_present(*this); }
};
using unpaired_columns = basic_unpaired_columns<column>;

/// G ragged lists of completions of one prompt each. List g is [offset[g], offset[g + 1]) of every column.
template <class C>
struct basic_list_columns {
  C policy;                         ///< log_prob, nats [N]
  C reference = {};                 ///< log_prob, nats [N]
  C length = {};                    ///< completion tokens that count [N]
  C score = {};                     ///< reward of each completion [N]
  typename C::offsets offset = {};  ///< [G + 1], ascending, from 0 to N
  C weight = {};                    ///< multiplies each list's loss [G]
  C beta = {};                      ///< one beta per list [G]

  static constexpr void describe(auto& self, auto&& visit) {
    visit(described::policy, per::completion, self.policy);
    visit(described::reference, per::completion, self.reference);
    visit(described::length, per::completion, self.length);
    visit(described::score, per::completion, self.score);
    visit(described::weight, per::example, self.weight);
    visit(described::beta, per::example, self.beta);
  }

  [[nodiscard]] constexpr std::size_t size() const {
    return offset.empty() ? 0 : offset.size() - 1;
  }
  [[nodiscard]] constexpr std::size_t rows(per what) const {
    return what == per::example ? size() : policy.size();
  }
  [[nodiscard]] constexpr column_set available() const { return detail::columns_present(*this); }
};
using list_columns = basic_list_columns<column>;

}  // namespace prefer::inline v0_1
