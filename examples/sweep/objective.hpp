// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <losses/named_loss.hpp>

#include "grid.hpp"
#include "problem.hpp"

namespace sweep {

/// Looks a loss up by the text behind --loss, without a beta. `token_columns` are those of the task.
///
/// Errors  precondition_error as for read_losses
[[nodiscard]] loss_choice describe_loss(std::string const& written,
                                        prefer::column_set token_columns = {});

/// Log-probabilities of the two completions of each pair, nats.
struct pair_numbers {
  std::span<double const> chosen;
  std::span<double const> rejected;
};

/// What a loss is given of a problem's pairs. What it does not read may be empty.
struct pair_batch {
  pair_numbers policy;
  pair_numbers reference;
  pair_numbers score = {};
  token_numbers const* tokens = nullptr;
  std::span<double const> kl_policy = {};  ///< see learner::kl_log_prob
  std::span<double const> mismatched_reference = {};
  std::span<double const> uniform = {};  ///< a random number in [0, 1) per pair
  std::size_t drawn = 0;                 ///< pairs that the mean divides by
};

/// A loss over pairs, whatever it is over itself, as the mean over the pairs that were drawn.
///
/// A loss over labelled completions gets each pair as two examples, chosen desirable and rejected not, and
/// their mean is the pair's loss. A loss over lists gets lists of two, chosen first. What a loss remembers goes from
/// one call to the next, and with copies.
class objective {
 public:
  objective(loss_choice const& choice, std::optional<double> beta, std::size_t tokens);

  [[nodiscard]] named_loss const& loss() const { return loss_; }
  [[nodiscard]] bool reads(prefer::column_set columns) const {
    return loss_.needs.contains(columns);
  }

  /// The columns over tokens that the loss reads.
  [[nodiscard]] prefer::column_set token_columns() const;

  /// d (mean loss) / d log_prob of each completion. Those of divergence: see chosen_divergence.
  void coefficients(pair_batch const& of, std::span<double> chosen, std::span<double> rejected);

  /// d (mean loss) / d divergence, after `coefficients`; empty for a loss that does not read it.
  [[nodiscard]] std::span<double const> chosen_divergence() const { return divergence_.chosen; }
  [[nodiscard]] std::span<double const> rejected_divergence() const { return divergence_.rejected; }

 private:
  named_loss loss_;
  double tokens_;  // of every completion
  std::vector<double> policy_;
  std::vector<double> reference_;
  std::vector<double> label_;
  std::vector<double> length_;
  std::vector<double> score_;
  sides divergence_;
  std::vector<std::size_t> offset_;
};

/// The step of gradient descent on logits that suits a loss at a beta (1 where it has none).
///
/// DPO's is 4 / beta, the convention of the reference study. It is so for two reasons, and each says what the
/// step of another loss is. In the slope s(t) = d loss / d t of one pair, t being its log-ratio margin:
///
///   2 / |s(0)|    the first step moves the logits as far as DPO's does, s(0) = -beta / 2
///   beta / c      where c is the largest curvature |s'|, for DPO beta^2 / 4: near its optimum, a loss
///                 converges at DPO's rate or slower
///
/// The smaller of the two is taken. Where the slope goes on growing as the margin falls (squared and
/// exponential losses), a step too long runs away instead of swinging, so there beta counts as at most 1:
/// logits see the curvature times the largest eigenvalue of the mean of (e_chosen - e_rejected)(...)^T, which
/// is at most 2, and descent needs step * curvature below 2. The curvature is measured over a window of
/// 1 / beta nats, which gives a hinge, whose curvature sits in one point, c = beta^2.
///
/// Where chosen and rejected do not have opposite coefficients, their sum moves the softmax as a whole, whose
/// own curvature is at most 1/2 per unit of it: the step is at most 2 / |sum|.
///
/// The pair that is looked at is what the loss has always seen: one that remembers is where its memory no longer moves.
/// Its rewards are 1 apart, its divergences 0, and policies near to it the policy.
///
/// A loss whose slope grows is looked at from `start_margin`, the largest size of a margin before the first
/// step, to where it bends, 1 / beta below and 2 / beta above; margins rise from there. Others are looked at up to
/// 5 nats and up to 5 / beta.
/// Errors  precondition_error for a loss whose slope at 0 is 0 or not finite, or that overflows there
struct step_rule {
  double step = 0.0;
  bool grows = false;  ///< the slope goes on growing, so that the step depends on start_margin
};
[[nodiscard]] step_rule step_size(loss_choice const& choice, std::optional<double> beta,
                                  std::size_t tokens, double start_margin = 0.0);

}  // namespace sweep
