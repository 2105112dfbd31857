// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <prefer/batch/choices.hpp>
#include <prefer/policy/completion_outputs.hpp>
#include <span>
#include <support/policy_archetypes.hpp>
#include <vector>

namespace prefer::test {

/// What a token policy archetype leaves out.
enum class token_policy_lacks {
  nothing,
  log_prob,
  token_offsets,
  token_log_prob,
  token_backward,
  gives,
  alignment,
  evaluate,
  evaluate_against,
  backward_against
};

/// What the concepts of token policies ask for together, and no more. Completions have two tokens, and every
/// token's log-probability is the same.
template <token_policy_lacks L = token_policy_lacks::nothing>
class token_policy_archetype
    : public policy_archetype<L == token_policy_lacks::log_prob ? policy_lacks::log_prob
                                                                : policy_lacks::nothing> {
  using base = policy_archetype<L == token_policy_lacks::log_prob ? policy_lacks::log_prob
                                                                  : policy_lacks::nothing>;
  using lacks = token_policy_lacks;

 public:
  explicit token_policy_archetype(double log_prob_of_token) : base(2 * log_prob_of_token) {}

  unused token_offsets(choice_batch const& batch, std::vector<std::size_t>& out)
    requires(L != lacks::token_offsets)
  {
    out.clear();
    for (std::size_t i = 0; i <= batch.completions(); ++i) out.push_back(2 * i);
    return {};
  }
  unused token_log_prob(choice_batch const&, std::span<double> out)
    requires(L != lacks::token_log_prob)
  {
    for (double& each : out) each = this->value() / 2;
    return {};
  }
  unused token_backward(choice_batch const&, std::span<double const> coefficient)
    requires(L != lacks::token_backward)
  {
    for (double const each : coefficient) token_gradient_ += each;
    return {};
  }
  static constexpr completion_output_set gives =
      L == lacks::gives       ? completion_output_set()
      : L == lacks::alignment ? completion_output::divergence | completion_output::perturbed
                              : completion_output::alignment | completion_output::divergence |
                                    completion_output::perturbed;
  unused evaluate(choice_batch const&, completion_outputs<double> const&)
    requires(L != lacks::evaluate);
  unused evaluate(choice_batch const&, completion_outputs<double> const&, reference_archetype<>&)
    requires(L != lacks::evaluate_against);
  using base::backward;
  unused backward(choice_batch const&, completion_gradients<double> const&, reference_archetype<>&)
    requires(L != lacks::backward_against);

  [[nodiscard]] double token_gradient() const { return token_gradient_; }

 private:
  double token_gradient_ = 0;
};

}  // namespace prefer::test
