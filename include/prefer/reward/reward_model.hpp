// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <prefer/bounded.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/policy/identity.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/reference/reference.hpp>

namespace prefer::inline v0_1 {

/// A model that gives each completion one score.
///
/// Asked for   what a Reference is asked for: `value_type` and `log_prob(batch, out)`, whose numbers are scores here, of
///             either sign, in nats of preference: sigmoid(score(a) - score(b)) is the probability that a is preferred
/// Semantics   the same batch gives the same numbers; a constant per prompt means nothing
///
/// So whatever takes a reference takes a reward model: `score_pairs`, caches, files. One that is a Policy too is trained, by
/// `bradley_terry`.
template <class M, class B>
concept RewardModel = Reference<M, B>;

/// A policy's logits as scores, to be trained by `bradley_terry`: of `tabular` one free score per completion, of `log_linear`
/// a linear function of features, of `matrix_factorization` a recommender's score.
///
///   score(x, y) = logit(x, y)
template <class P>
class logit_score {
 public:
  using value_type = typename P::value_type;

  explicit logit_score(P policy) : policy_(std::move(policy)) {}

  template <class B>
    requires LogitPolicy<P, B>
  void log_prob(B const& batch, std::span<value_type> out) {
    policy_.logit(batch, out);
  }
  template <class B>
    requires LogitPolicy<P, B>
  void backward(B const& batch, std::span<value_type const> coefficient) {
    policy_.backward_logit(batch, coefficient);
  }
  void finish_backward() {
    if constexpr (requires { policy_.finish_backward(); }) policy_.finish_backward();
  }
  [[nodiscard]] auto parameters() { return policy_.parameters(); }
  void parameters_moved() {
    if constexpr (requires { policy_.parameters_moved(); }) policy_.parameters_moved();
  }
  [[nodiscard]] std::uint64_t identity() const
    requires detail::identified<P const>
  {
    return fingerprint()
        .add("logit_score")
        .add(static_cast<std::uint64_t>(policy_.identity()))
        .value();
  }

  [[nodiscard]] P& policy() { return policy_; }
  [[nodiscard]] P const& policy() const { return policy_; }

 private:
  P policy_;
};

/// The reward that a policy trained by preferences stands for: "your language model is secretly a reward model".
///
///   score = beta * (log_prob - reference log_prob)
///
/// Policy and reference are borrowed and outlive it; what is asked is what they are at that time. So it is a judge while the
/// same policy trains, too, and wherever a reward goes.
///
/// Errors  precondition_error for beta <= 0
/// Source  Rafailov et al. 2023, arXiv:2305.18290, eq. 5, without the term that depends on the prompt alone
template <class P, class R>
class implicit_reward {
 public:
  using value_type = typename P::value_type;

  implicit_reward(P& policy, R& reference, positive beta)
      : policy_(&policy), reference_(&reference), beta_(beta) {
    expects_in_range(beta, "implicit_reward", "beta");
  }

  template <class B>
    requires Reference<P, B> && Reference<R, B>
  void log_prob(B const& batch, std::span<value_type> out) {
    // The reference first: one that shares memory with the policy would overwrite what the policy keeps.
    theirs_.resize(out.size());
    reference_->log_prob(batch, std::span<typename R::value_type>(theirs_));
    policy_->log_prob(batch, out);
    for (std::size_t i = 0; i != out.size(); ++i) {
      auto const log_ratio = static_cast<double>(out[i]) - static_cast<double>(theirs_[i]);
      out[i] = static_cast<value_type>(beta_ * log_ratio);
    }
  }
  /// Of policy and reference as they are now.
  [[nodiscard]] std::uint64_t identity() const
    requires detail::identified_reference<P> && detail::identified_reference<R>
  {
    return fingerprint()
        .add("implicit_reward")
        .add(identity_of_reference(*policy_))
        .add(identity_of_reference(*reference_))
        .add(beta_)
        .value();
  }

 private:
  P* policy_;
  R* reference_;
  double beta_;
  std::vector<typename R::value_type> theirs_;  // working memory
};

/// Several reward models as one, which is careful where they disagree.
///
///   score = mean - deviations * (sample deviation of the members)
///
/// Members that were fitted on resampled pairs, or from several starts, agree where the pairs were and not elsewhere: what a
/// policy finds by leaving the pairs is then worth less.
///
/// Errors  precondition_error for no members, for deviations < 0, and for deviations > 0 of one member, which has none
/// Source  Coste et al. 2023, arXiv:2310.02743; Eisenstein et al. 2023, arXiv:2312.09244
template <class M>
class reward_ensemble {
 public:
  using value_type = typename M::value_type;

  explicit reward_ensemble(std::vector<M> members, non_negative deviations = 0.0)
      : members_(std::move(members)), deviations_(deviations) {
    expects_in_range(deviations, "reward_ensemble", "deviations");
    expects(!members_.empty(), "reward_ensemble: there are no members");
    expects(
        deviations_ == 0.0 || members_.size() > 1,
        "reward_ensemble: one member has no deviation; expected at least 2, or deviations of 0");
  }

  template <class B>
    requires RewardModel<M, B>
  void log_prob(B const& batch, std::span<value_type> out) {
    std::size_t const n = members_.size();
    said_.resize(n * out.size());
    for (std::size_t m = 0; m != n; ++m) {
      members_[m].log_prob(batch, std::span<value_type>(said_).subspan(m * out.size(), out.size()));
    }
    for (std::size_t i = 0; i != out.size(); ++i) {
      double mean = 0.0;
      for (std::size_t m = 0; m != n; ++m) mean += static_cast<double>(said_[m * out.size() + i]);
      mean /= static_cast<double>(n);
      double squares = 0.0;
      for (std::size_t m = 0; m != n; ++m) {
        double const away = static_cast<double>(said_[m * out.size() + i]) - mean;
        squares += away * away;
      }
      double const deviation = n > 1 ? std::sqrt(squares / static_cast<double>(n - 1)) : 0.0;
      out[i] = static_cast<value_type>(mean - deviations_ * deviation);
    }
  }

  /// Of its members as they are now.
  [[nodiscard]] std::uint64_t identity()
    requires detail::identified_reference<M>
  {
    fingerprint out;
    out.add("reward_ensemble").add(deviations_);
    for (M& each : members_) out.add(identity_of_reference(each));
    return out.value();
  }

  [[nodiscard]] std::span<M> members() { return members_; }
  [[nodiscard]] double deviations() const { return deviations_; }

 private:
  std::vector<M> members_;
  double deviations_;
  std::vector<value_type> said_;  // [members, N], working memory
};

}  // namespace prefer::inline v0_1
