// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/expects.hpp>
#include <prefer/model/choice_ids.hpp>
#include <prefer/model/softmax.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/policy/sampling_policy.hpp>
#include <prefer/random/philox.hpp>

namespace prefer {

template <std::floating_point T>
class bigram;

namespace detail {

template <class R>
concept wraps_policy = requires(R const& reference) { reference.policy(); };

template <class R, class T>
[[nodiscard]] consteval bool has_markov_inside() {
  using type = std::remove_cvref_t<R>;
  if constexpr (std::same_as<type, bigram<T>>) {
    return true;
  } else if constexpr (wraps_policy<type>) {
    return has_markov_inside<decltype(std::declval<type const&>().policy()), T>();
  } else {
    return false;
  }
}

}  // namespace detail

/// A bigram<T>, or something whose `policy()` gives one, however deep: frozen(policy),
/// frozen(aggregated(policy, ...)). Such a reference can be asked for whole distributions.
template <class R, class T>
concept MarkovReference = detail::has_markov_inside<R, T>();

/// The bigram<T> inside of a reference.
template <class T, MarkovReference<T> R>
[[nodiscard]] bigram<T> const& markov_of(R const& reference) {
  if constexpr (std::same_as<R, bigram<T>>) {
    return reference;
  } else {
    return markov_of<T>(reference.policy());
  }
}

/// A language model with a memory of one token: the sequence policy for which everything can be computed
/// exactly.
///
///   token_log_prob(next | current) = logits[current, next] - log sum_v exp(logits[current, v])
///   log_prob(y | x)                = sum_t token_log_prob(y_t | y_{t-1}),  y_0 = x
///
/// A prompt is the token before the first of the completion; a completion is a number that `table` turns into
/// tokens. The table outlives the policy and may grow meanwhile. There is no end of sequence: the
/// probabilities of all completions of one length add up to 1. There is no `score` either: normalisers
/// depend on the completion and do not cancel.
///
/// Token columns are flat and ragged: the tokens of the batch's completions end to end, in batch order, see
/// token_offsets.
///
/// Parameters  "logits" [vocabulary, vocabulary], initially 0, which is uniform
/// Errors      precondition_error for an id or token out of range, a batch whose shapes disagree, a column
///             of another size than asked for, a reference with another vocabulary; NaN and infinity in the
///             logits flow through
template <std::floating_point T = float>
class bigram {
 public:
  using value_type = T;

  bigram(std::size_t vocabulary, token_table const& table)
      : bigram(vocabulary, table, std::vector<T>(vocabulary * vocabulary)) {}
  bigram(std::size_t vocabulary, token_table const& table, std::vector<T> logits)
      : vocabulary_(vocabulary),
        table_(&table),
        logits_(static_cast<std::vector<T>&&>(logits)),
        gradient_(logits_.size()),
        normaliser_(vocabulary),
        quantity_(vocabulary),
        in_batch_(vocabulary),
        sums_(vocabulary),
        diverging_(vocabulary) {
    expects(vocabulary > 0, "bigram: vocabulary must be greater than zero");
    expects_size(logits_.size(), vocabulary * vocabulary, "bigram", "logits");
    rows_.reserve(vocabulary);
  }
  // clang-format off
  bigram(std::size_t, token_table const&&) = delete;  // prefer: the table outlives the policy; give it a name
  bigram(std::size_t, token_table const&&, std::vector<T>) = delete;
  // clang-format on

  [[nodiscard]] std::size_t vocabulary() const { return vocabulary_; }
  [[nodiscard]] token_table const& table() const { return *table_; }
  [[nodiscard]] std::vector<parameter<T>> parameters() {
    return {{.name = "logits", .value = logits_, .gradient = gradient_}};
  }
  void use(executor threads) { threads_ = threads; }

  // One number per completion, with a gradient.

  void log_prob(choice_batch const& batch, std::span<T> out) {
    expects_batch(batch, out.size(), "bigram::log_prob");
    normalise_states(batch);
    sum_over_tokens(batch, out, [&](std::size_t state, std::size_t token) {
      return static_cast<double>(log_prob_of(state, token));
    });
  }

  void backward(choice_batch const& batch, std::span<T const> coefficient) {
    expects_batch(batch, coefficient.size(), "bigram::backward");
    for_each_token(batch, [&](std::size_t i, std::size_t, std::size_t state, std::size_t token) {
      add(state, token, coefficient[i]);
    });
  }

  void finish_backward() {
    rows_.clear();
    sums_.drain([&](std::size_t state, double a) { rows_.push_back({state, a}); });
    threads_.for_each_block(
        rows_.size(), rows_per_block(), [&](std::size_t begin, std::size_t end) {
          for (std::size_t r = begin; r != end; ++r) {
            auto const [state, a] = rows_[r];
            auto const normaliser = normalise(row(state));
            add_exponentials(row(state), normaliser.max,
                             static_cast<T>(-a / static_cast<double>(normaliser.sum)),
                             gradient_row(state));
          }
        });
    diverging_.drain([&](std::size_t state) {
      auto const to = gradient_row(state);
      double* const from = divergence_gradient_.data() + state * vocabulary_;
      for (std::size_t v = 0; v != vocabulary_; ++v) {
        to[v] += static_cast<T>(from[v]);
        from[v] = 0;
      }
    });
  }

  /// How far the policy is from a reference along each completion, nats:
  ///
  ///   divergence(y) = sum_t KL(reference(. | y_{t-1}) || policy(. | y_{t-1}))
  ///
  /// Source  Zeng et al. 2024, sequential KL divergence, arXiv:2404.11999
  template <MarkovReference<T> R>
  void divergence(R const& reference, choice_batch const& batch, std::span<T> out) {
    expects_batch(batch, out.size(), "bigram::divergence");
    bigram const& other = same_vocabulary(reference, "bigram::divergence");
    for_each_state(batch, [&](std::size_t state) {
      auto const ours = normalise(row(state));
      auto const theirs = normalise(other.row(state));
      double sum = 0;
      for (std::size_t v = 0; v != vocabulary_; ++v) {
        auto const log_p = static_cast<double>(theirs.log_prob(other.row(state)[v]));
        double const p = std::exp(log_p);
        // What the reference never says adds nothing, whatever the policy thinks of it.
        if (p != 0) sum += p * (log_p - static_cast<double>(ours.log_prob(row(state)[v])));
      }
      quantity_[state] = sum;
    });
    sum_over_tokens(batch, out, [&](std::size_t state, std::size_t) { return quantity_[state]; });
  }

  /// Adds sum_i coefficient_i * d divergence_i / d logits to the gradient, where per position
  ///
  ///   d KL / d logits = softmax(policy) - softmax(reference)
  template <MarkovReference<T> R>
  void backward_divergence(R const& reference, choice_batch const& batch,
                           std::span<T const> coefficient) {
    expects_batch(batch, coefficient.size(), "bigram::backward_divergence");
    bigram const& other = same_vocabulary(reference, "bigram::backward_divergence");
    // Kept apart from the gradient until finish_backward, so that the order in which calls for log_prob and
    // for the divergence alternate changes no bit.
    divergence_gradient_.resize(vocabulary_ * vocabulary_);
    for_each_token(batch, [&](std::size_t i, std::size_t, std::size_t state, std::size_t) {
      auto const c = static_cast<double>(coefficient[i]);
      if (c == 0) return;
      diverging_.insert(state);
      auto const ours = normalise(row(state));
      auto const theirs = normalise(other.row(state));
      double* const to = divergence_gradient_.data() + state * vocabulary_;
      for (std::size_t v = 0; v != vocabulary_; ++v) {
        to[v] += c * (std::exp(static_cast<double>(ours.log_prob(row(state)[v]))) -
                      std::exp(static_cast<double>(theirs.log_prob(other.row(state)[v]))));
      }
    });
  }

  // One number per token, with a gradient.

  /// Where each completion's tokens begin in a token column of this batch, and the end [N + 1].
  void token_offsets(choice_batch const& batch, std::vector<std::size_t>& out) const {
    table_->offsets(batch.completion, out);
  }

  void token_log_prob(choice_batch const& batch, std::span<T> out) {
    expects_tokens(batch, out.size(), "bigram::token_log_prob");
    normalise_states(batch);
    for_each_token(batch, [&](std::size_t, std::size_t t, std::size_t state, std::size_t token) {
      out[t] = log_prob_of(state, token);
    });
  }

  void token_backward(choice_batch const& batch, std::span<T const> coefficient) {
    expects_tokens(batch, coefficient.size(), "bigram::token_backward");
    for_each_token(batch, [&](std::size_t, std::size_t t, std::size_t state, std::size_t token) {
      add(state, token, coefficient[t]);
    });
  }

  // One number per completion, without a gradient.

  /// How typical a completion is of the policy, nats per token: the log of the weight of Weighted
  /// Preference Optimization before pairs are multiplied.
  ///
  ///   alignment(y) = mean_t [ token_log_prob(y_t) - log sum_v exp(2 token_log_prob(v)) ]
  ///
  /// Source  Zhou et al. 2024, arXiv:2406.11827
  void alignment(choice_batch const& batch, std::span<T> out) {
    expects_batch(batch, out.size(), "bigram::alignment");
    normalise_states(batch);
    for_each_state(batch, [&](std::size_t state) {
      double sum = 0;
      for (std::size_t v = 0; v != vocabulary_; ++v) {
        sum += std::exp(2 * static_cast<double>(log_prob_of(state, v)));
      }
      quantity_[state] = std::log(sum);
    });
    mean_over_tokens(batch, out, [&](std::size_t state, std::size_t token) {
      return static_cast<double>(log_prob_of(state, token)) - quantity_[state];
    });
  }

  /// Log-probability under logits that are moved away from the reference, renormalised at each position:
  ///
  ///   logits + amount * (logits - reference logits)
  ///
  /// With amount 0 it is log_prob, with -1 the reference's.
  ///
  /// Source  Lee et al. 2025, arXiv:2502.13177
  template <MarkovReference<T> R>
  void perturbed_log_prob(R const& reference, double amount, choice_batch const& batch,
                          std::span<T> out) {
    expects_batch(batch, out.size(), "bigram::perturbed_log_prob");
    perturb_states(reference, amount, batch, "bigram::perturbed_log_prob");
    sum_over_tokens(batch, out, [&](std::size_t state, std::size_t token) {
      return static_cast<double>(perturbed_of(state, token));
    });
  }
  /// The same per token.
  template <MarkovReference<T> R>
  void perturbed_token_log_prob(R const& reference, double amount, choice_batch const& batch,
                                std::span<T> out) {
    expects_tokens(batch, out.size(), "bigram::perturbed_token_log_prob");
    perturb_states(reference, amount, batch, "bigram::perturbed_token_log_prob");
    for_each_token(batch, [&](std::size_t, std::size_t t, std::size_t state, std::size_t token) {
      out[t] = perturbed_of(state, token);
    });
  }

  /// Entropy of the next token, nats, mean over the completion's tokens.
  void entropy(choice_batch const& batch, std::span<T> out) {
    expects_batch(batch, out.size(), "bigram::entropy");
    normalise_states(batch);
    for_each_state(batch, [&](std::size_t state) {
      double sum = 0;
      for (std::size_t v = 0; v != vocabulary_; ++v) {
        auto const log_p = static_cast<double>(log_prob_of(state, v));
        double const p = std::exp(log_p);
        if (p != 0) sum -= p * log_p;
      }
      quantity_[state] = sum;
    });
    mean_over_tokens(batch, out, [&](std::size_t state, std::size_t) { return quantity_[state]; });
  }

  /// Mean of the logits over the vocabulary and the completion's tokens: an alarm for drift, not a likelihood.
  void mean_logit(choice_batch const& batch, std::span<T> out) {
    expects_batch(batch, out.size(), "bigram::mean_logit");
    for_each_state(batch, [&](std::size_t state) {
      double sum = 0;
      for (T const each : row(state)) sum += static_cast<double>(each);
      quantity_[state] = sum / static_cast<double>(vocabulary_);
    });
    mean_over_tokens(batch, out, [&](std::size_t state, std::size_t) { return quantity_[state]; });
  }

  /// Share of the completion's tokens that the policy finds most likely; of equal logits the first counts.
  void token_accuracy(choice_batch const& batch, std::span<T> out) {
    expects_batch(batch, out.size(), "bigram::token_accuracy");
    for_each_state(batch, [&](std::size_t state) {
      std::size_t best = 0;
      for (std::size_t v = 1; v != vocabulary_; ++v) {
        if (row(state)[v] > row(state)[best]) best = v;
      }
      quantity_[state] = static_cast<double>(best);
    });
    mean_over_tokens(batch, out, [&](std::size_t state, std::size_t token) {
      return quantity_[state] == static_cast<double>(token) ? 1.0 : 0.0;
    });
  }

  // For studies and tests.

  /// Log-probabilities of every token after `current`, the same bits as from a batch.
  void token_log_probs(std::uint32_t current, std::span<T> out) const {
    detail::expects_row(current, out.size(), vocabulary_, vocabulary_, "bigram::token_log_probs");
    auto const scores = row(current);
    auto const normaliser = normalise(scores);
    for (std::size_t v = 0; v != vocabulary_; ++v) out[v] = normaliser.log_prob(scores[v]);
  }

  /// A completion for each prompt, see SamplingPolicy; `into` may be the policy's own table.
  void sample(std::span<std::uint32_t const> prompts, sampling_options const& how,
              random_address const& from, token_table& into, std::span<std::uint32_t> ids) const {
    expects_size(ids.size(), prompts.size(), "bigram::sample", "ids");
    expects(how.max_tokens > 0, "bigram::sample: max_tokens must be at least 1");
    std::vector<T> log_p(vocabulary_);
    std::vector<std::uint32_t> tokens;
    token_sampler draw(how);
    random_address address = from;
    for (std::size_t i = 0; i != prompts.size(); ++i, ++address.index) {
      random_stream numbers(address);
      tokens.clear();
      std::uint32_t current = prompts[i];
      do {
        token_log_probs(current, log_p);
        current = draw(std::span<T const>(log_p), numbers);
        tokens.push_back(current);
      } while (tokens.size() != how.max_tokens && current != how.stop_token);
      ids[i] = into.add(tokens);
    }
  }

 private:
  struct row_sum {
    std::size_t state;
    double coefficient;
  };

  [[nodiscard]] std::span<T const> row(std::size_t state) const {
    return std::span<T const>(logits_).subspan(state * vocabulary_, vocabulary_);
  }
  [[nodiscard]] std::span<T> gradient_row(std::size_t state) {
    return std::span<T>(gradient_).subspan(state * vocabulary_, vocabulary_);
  }
  [[nodiscard]] T log_prob_of(std::size_t state, std::size_t token) const {
    return normaliser_[state].log_prob(logits_[state * vocabulary_ + token]);
  }
  [[nodiscard]] T perturbed_of(std::size_t state, std::size_t token) const {
    return normaliser_[state].log_prob(perturbed_[state * vocabulary_ + token]);
  }
  // Enough work per block to be worth a thread's attention.
  [[nodiscard]] std::size_t rows_per_block() const { return 8192 / vocabulary_ + 1; }

  void expects_batch(choice_batch const& batch, std::size_t values, char const* where) const {
    detail::expects_choices(batch, values, vocabulary_, table_->size(), where);
    for (std::uint32_t const id : batch.completion) {
      for (std::uint32_t const token : table_->tokens(id)) {
        if (token < vocabulary_) continue;
        detail::broken(std::string(where) + ": completion " + std::to_string(id) + " has token " +
                       std::to_string(token) + ", expected less than " +
                       std::to_string(vocabulary_));
      }
    }
  }
  void expects_tokens(choice_batch const& batch, std::size_t values, char const* where) const {
    expects_batch(batch, batch.completions(), where);
    std::size_t tokens = 0;
    for (std::uint32_t const id : batch.completion) tokens += table_->length(id);
    expects_size(values, tokens, where, "the column of token values");
  }
  template <class R>
  [[nodiscard]] bigram const& same_vocabulary(R const& reference, char const* where) const {
    bigram const& other = markov_of<T>(reference);
    if (other.vocabulary_ != vocabulary_) {
      detail::broken(std::string(where) + ": the reference has a vocabulary of " +
                     std::to_string(other.vocabulary_) + ", expected " +
                     std::to_string(vocabulary_));
    }
    return other;
  }

  // f(completion of the batch, token of the batch, token before it, token), in batch order.
  void for_each_token(choice_batch const& batch, auto&& f) const {
    std::size_t t = 0;
    for (std::size_t g = 0; g != batch.size(); ++g) {
      for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) {
        std::size_t state = batch.prompt[g];
        for (std::uint32_t const token : table_->tokens(batch.completion[i])) {
          f(i, t++, state, static_cast<std::size_t>(token));
          state = token;
        }
      }
    }
  }

  // f(state), once for each token that another follows in the batch, on threads.
  void for_each_state(choice_batch const& batch, auto&& f) {
    for_each_token(batch, [&](std::size_t, std::size_t, std::size_t state, std::size_t) {
      in_batch_.insert(state);
    });
    rows_.clear();
    in_batch_.drain([&](std::size_t state) { rows_.push_back({state, 0.0}); });
    threads_.for_each_block(rows_.size(), rows_per_block(),
                            [&](std::size_t begin, std::size_t end) {
                              for (std::size_t r = begin; r != end; ++r) f(rows_[r].state);
                            });
  }

  void normalise_states(choice_batch const& batch) {
    for_each_state(batch, [&](std::size_t state) { normaliser_[state] = normalise(row(state)); });
  }

  template <class R>
  void perturb_states(R const& reference, double amount, choice_batch const& batch,
                      char const* where) {
    bigram const& other = same_vocabulary(reference, where);
    auto const far = static_cast<T>(amount);
    perturbed_.resize(vocabulary_ * vocabulary_);
    for_each_state(batch, [&](std::size_t state) {
      auto const to = std::span<T>(perturbed_).subspan(state * vocabulary_, vocabulary_);
      for (std::size_t v = 0; v != vocabulary_; ++v) {
        T const logit = row(state)[v];
        to[v] = logit + far * (logit - other.row(state)[v]);
      }
      normaliser_[state] = normalise(std::span<T const>(to));
    });
  }

  // of(token before it, token), added up over each completion in double.
  void sum_over_tokens(choice_batch const& batch, std::span<T> out, auto&& of) const {
    over_tokens(batch, out, of, [](double sum, std::size_t) { return sum; });
  }
  void mean_over_tokens(choice_batch const& batch, std::span<T> out, auto&& of) const {
    over_tokens(batch, out, of,
                [](double sum, std::size_t length) { return sum / static_cast<double>(length); });
  }
  void over_tokens(choice_batch const& batch, std::span<T> out, auto&& of, auto&& result) const {
    for (std::size_t g = 0; g != batch.size(); ++g) {
      for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) {
        auto const tokens = table_->tokens(batch.completion[i]);
        std::size_t state = batch.prompt[g];
        double sum = 0;
        for (std::uint32_t const token : tokens) {
          sum += of(state, static_cast<std::size_t>(token));
          state = token;
        }
        out[i] = static_cast<T>(result(sum, tokens.size()));
      }
    }
  }

  void add(std::size_t state, std::size_t token, T coefficient) {
    gradient_[state * vocabulary_ + token] += coefficient;
    sums_.add(state, static_cast<double>(coefficient));
  }

  std::size_t vocabulary_;
  token_table const* table_;
  std::vector<T> logits_;                          // [vocabulary, vocabulary]: current, next
  std::vector<T> gradient_;                        // [vocabulary, vocabulary]
  std::vector<softmax_normaliser<T>> normaliser_;  // [vocabulary], those of the last batch
  std::vector<double> quantity_;                   // [vocabulary], what for_each_state finds out
  std::vector<T> perturbed_;                       // [vocabulary, vocabulary] once it is asked for
  std::vector<double> divergence_gradient_;        // [vocabulary, vocabulary] once it is asked for
  detail::id_set in_batch_;
  detail::coefficient_sums sums_;
  detail::id_set diverging_;
  std::vector<row_sum> rows_;
  executor threads_;
};

}  // namespace prefer
