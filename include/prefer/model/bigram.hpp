// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/model/bigram_reference.hpp>
#include <prefer/model/choice_ids.hpp>
#include <prefer/model/row_statistics.hpp>
#include <prefer/model/softmax.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/completion_outputs.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/policy/sampling_policy.hpp>
#include <prefer/random/philox.hpp>

namespace prefer::inline v0_1 {

/// A language model with a memory of one token: the sequence policy for which everything can be computed
/// exactly.
///
///   token_log_prob(next | current) = logits[current, next] - log sum_v exp(logits[current, v])
///   log_prob(y | x)                = sum_t token_log_prob(y_t | y_{t-1}),  y_0 = x
///
/// A prompt is the token before the first of the completion; a completion is a number that `table` turns into
/// tokens. The table outlives the policy and may grow meanwhile. There is no end of sequence: the
/// probabilities of all completions of one length add up to 1. There is no `logit` either: normalisers
/// depend on the completion and do not cancel.
///
/// Token columns are flat and ragged: the tokens of the batch's completions end to end, in batch order, see
/// token_offsets.
///
/// Fewer rows of logits than the vocabulary has tokens are those of the first tokens, which alone may be prompts or be followed
/// by another: one row for each prompt is a choice of one token.
///
/// Parameters  "logits" [rows, vocabulary], initially 0, which is uniform, and as many rows as columns
/// Errors      precondition_error for an id or token out of range, a batch whose shapes disagree, a column
///             of another size than asked for, a reference with another vocabulary or other rows; NaN and infinity in the
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
        states_(vocabulary > 0 ? logits_.size() / vocabulary : 0),
        normaliser_(states_),
        about_(states_),
        in_batch_(states_),
        sums_(states_),
        diverging_(states_) {
    expects(vocabulary > 0, "bigram: vocabulary must be greater than zero");
    if (states_ == 0 || states_ > vocabulary || logits_.size() % vocabulary != 0) {
      expects_size(logits_.size(), vocabulary * vocabulary, "bigram", "logits");
    }
    rows_.reserve(states_);
  }
  // clang-format off
  bigram(std::size_t, token_table const&&) = delete;  // prefer: the table outlives the policy; give it a name
  bigram(std::size_t, token_table const&&, std::vector<T>) = delete;
  // clang-format on

  [[nodiscard]] std::size_t vocabulary() const { return vocabulary_; }
  [[nodiscard]] token_table const& table() const { return *table_; }
  /// Whether two numbers stand for the same tokens.
  [[nodiscard]] bool same_completion(std::uint32_t a, std::uint32_t b) const {
    return a < table_->size() && b < table_->size() && table_->equal(a, b);
  }
  [[nodiscard]] std::vector<parameter<T>> parameters() {
    return {{.name = "logits",
             .value = logits_,
             .gradient = gradient_,
             .shape = {states_, vocabulary_}}};
  }
  void use(executor threads) { threads_ = threads; }
  /// Of the texts behind the numbers of completions, as they are now.
  [[nodiscard]] std::uint64_t identity() const {
    fingerprint out;
    out.add("bigram").add(vocabulary_);
    if (states_ != vocabulary_) out.add(states_);
    return out.add(fingerprint_of(*table_)).value();
  }

  // The short contract.

  void log_prob(choice_batch const& batch, std::span<T> out) {
    expects_batch(batch, out.size(), "bigram::log_prob");
    evaluate(batch, {.log_prob = out});
  }
  void backward(choice_batch const& batch, std::span<T const> coefficient) {
    expects_batch(batch, coefficient.size(), "bigram::backward");
    backward(batch, completion_gradients<T>{.log_prob = coefficient});
  }

  // All that it can say of a batch in one pass, and all that comes back in another.

  static constexpr completion_output_set gives =
      completion_output::token_log_prob | completion_output::divergence |
      completion_output::alignment | completion_output::perturbed | completion_output::entropy |
      completion_output::mean_logit | completion_output::token_accuracy;

  void evaluate(choice_batch const& batch, completion_outputs<T> const& wanted) {
    describe(batch, wanted, nullptr);
  }
  template <BigramReference<T> R>
  void evaluate(choice_batch const& batch, completion_outputs<T> const& wanted,
                R const& reference) {
    describe(batch, wanted, &same_vocabulary(reference, "bigram::evaluate"));
  }

  void backward(choice_batch const& batch, completion_gradients<T> const& given) {
    detail::expects_outputs(gives - detail::against_a_reference, given.given(), "bigram::backward");
    expects_batch(batch, batch.completions(), "bigram::backward");
    given.expects_sizes(batch.completions(), tokens_of(batch), "bigram::backward");
    for_each_token(batch, [&](std::size_t i, std::size_t t, std::size_t state, std::size_t token) {
      if (!given.log_prob.empty()) {
        add(state, token,
            given.token_weight.empty()
                ? given.log_prob[i]
                : static_cast<T>(static_cast<double>(given.log_prob[i]) * given.token_weight[t]));
      }
      if (!given.token_log_prob.empty()) add(state, token, given.token_log_prob[t]);
    });
  }
  template <BigramReference<T> R>
  void backward(choice_batch const& batch, completion_gradients<T> const& given,
                R const& reference) {
    completion_gradients<T> rest = given;
    rest.divergence = {};
    backward(batch, rest);
    if (given.divergence.empty()) return;
    expects_size(given.divergence.size(), batch.completions(), "bigram::backward", "divergence");
    backward_divergence(same_vocabulary(reference, "bigram::backward"), batch, given.divergence);
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

  // One number per token.

  /// Where each completion's tokens begin in a token column of this batch, and the end [N + 1].
  void token_offsets(choice_batch const& batch, std::vector<std::size_t>& out) const {
    table_->offsets(batch.completion, out);
  }
  void token_log_prob(choice_batch const& batch, std::span<T> out) {
    expects_tokens(batch, out.size(), "bigram::token_log_prob");
    evaluate(batch, {.token_log_prob = out});
  }
  void token_backward(choice_batch const& batch, std::span<T const> coefficient) {
    expects_tokens(batch, coefficient.size(), "bigram::token_backward");
    backward(batch, completion_gradients<T>{.token_log_prob = coefficient});
  }

  // For studies and tests.

  /// Log-probabilities of every token after `current`, the same bits as from a batch.
  void token_log_probs(std::uint32_t current, std::span<T> out) const {
    detail::expects_row(current, out.size(), states_, vocabulary_, "bigram::token_log_probs");
    auto const logits = row(current);
    auto const normaliser = normalise(logits);
    for (std::size_t v = 0; v != vocabulary_; ++v) out[v] = normaliser.log_prob(logits[v]);
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
      ids[i] = into.add(view_of(tokens));
    }
  }

 private:
  // What a forward pass found out about a row.
  struct about_row {
    double entropy = 0;
    double mean_logit = 0;
    double log_sum_of_squares = 0;
    double divergence = 0;
    std::size_t most_likely = 0;
    softmax_normaliser<T> toward = {};
    softmax_normaliser<T> away = {};
  };
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
  // Enough work per block to be worth a thread's attention.
  [[nodiscard]] std::size_t rows_per_block() const { return 8192 / vocabulary_ + 1; }

  void expects_batch(choice_batch const& batch, std::size_t values, char const* where) const {
    detail::expects_choices(batch, values, states_, table_->size(), where);
    for (std::uint32_t const id : batch.completion) {
      auto const tokens = table_->tokens(id);
      for (std::size_t t = 0; t != tokens.size(); ++t) {
        std::size_t const end = t + 1 == tokens.size() ? vocabulary_ : states_;
        if (tokens[t] < end) continue;
        detail::broken(std::string(where) + ": completion " + std::to_string(id) + " has token " +
                       std::to_string(tokens[t]) + ", expected less than " + std::to_string(end));
      }
    }
  }
  void expects_tokens(choice_batch const& batch, std::size_t values, char const* where) const {
    expects_batch(batch, batch.completions(), where);
    expects_size(values, tokens_of(batch), where, "the column of token values");
  }
  [[nodiscard]] std::size_t tokens_of(choice_batch const& batch) const {
    std::size_t tokens = 0;
    for (std::uint32_t const id : batch.completion) tokens += table_->length(id);
    return tokens;
  }
  template <class R>
  [[nodiscard]] bigram const& same_vocabulary(R const& reference, char const* where) const {
    bigram const& other = bigram_of<T>(reference);
    if (other.vocabulary_ == vocabulary_ && other.states_ != states_) {
      detail::broken(std::string(where) + ": the reference has " + std::to_string(other.states_) +
                     " rows of logits, expected " + std::to_string(states_));
    }
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

  // The forward pass: first every row that occurs, then every token.
  void describe(choice_batch const& batch, completion_outputs<T> const& wanted,
                bigram const* reference) {
    detail::expects_outputs(
        reference == nullptr ? gives - detail::against_a_reference : completion_output_set(gives),
        wanted.wanted(), "bigram::evaluate");
    expects_batch(batch, batch.completions(), "bigram::evaluate");
    wanted.expects_sizes(batch.completions(), tokens_of(batch), "bigram::evaluate");
    if (!wanted.perturbed_toward.empty() || !wanted.perturbed_away.empty()) {
      perturbed_.resize(logits_.size());
    }
    for_each_state(batch, [&](std::size_t state) { describe_row(state, wanted, reference); });

    if (!wanted.token_log_prob.empty()) {
      for_each_token(batch, [&](std::size_t, std::size_t t, std::size_t state, std::size_t token) {
        wanted.token_log_prob[t] = log_prob_of(state, token);
      });
    }
    using id = std::size_t;
    sum_weighted(batch, wanted.log_prob, wanted.token_weight,
                 [&](id state, id token) { return log_prob_of(state, token); });
    auto const perturbed = [&](softmax_normaliser<T> about_row::*normaliser, double amount) {
      return [this, normaliser, reference, amount](id state, id token) {
        return (about_[state].*normaliser)
            .log_prob(perturbed_logit(row(state)[token], reference->row(state)[token],
                                      static_cast<T>(amount)));
      };
    };
    sum_weighted(batch, wanted.perturbed_toward, wanted.token_weight,
                 perturbed(&about_row::toward, -wanted.perturbation));
    sum_weighted(batch, wanted.perturbed_away, wanted.token_weight,
                 perturbed(&about_row::away, wanted.perturbation));
    over_tokens(batch, wanted.divergence, [&](id state, id) { return about_[state].divergence; });
    auto const mean = [&](std::span<T> out, auto&& of) {
      over_tokens(batch, out, of,
                  [](double sum, std::size_t length) { return sum / static_cast<double>(length); });
    };
    mean(wanted.alignment, [&](id state, id token) {
      return static_cast<double>(log_prob_of(state, token)) - about_[state].log_sum_of_squares;
    });
    mean(wanted.entropy, [&](id state, id) { return about_[state].entropy; });
    mean(wanted.mean_logit, [&](id state, id) { return about_[state].mean_logit; });
    mean(wanted.token_accuracy,
         [&](id state, id token) { return about_[state].most_likely == token ? 1.0 : 0.0; });
  }

  void describe_row(std::size_t state, completion_outputs<T> const& wanted,
                    bigram const* reference) {
    auto const ours = row(state);
    about_row& about = about_[state];
    auto const& by = normaliser_[state] = normalise(ours);
    if (!wanted.entropy.empty()) about.entropy = row_entropy(ours, by);
    if (!wanted.mean_logit.empty()) about.mean_logit = row_mean(ours);
    if (!wanted.token_accuracy.empty()) about.most_likely = row_argmax(ours);
    if (!wanted.alignment.empty()) about.log_sum_of_squares = row_log_sum_of_squares(ours, by);
    if (reference == nullptr) return;
    auto const theirs = reference->row(state);
    if (!wanted.divergence.empty()) {
      about.divergence = row_divergence(ours, by, theirs, normalise(theirs));
    }
    auto const perturbed = [&](double amount) {
      auto const to = std::span<T>(perturbed_).subspan(state * vocabulary_, vocabulary_);
      for (std::size_t v = 0; v != vocabulary_; ++v) {
        to[v] = perturbed_logit(ours[v], theirs[v], static_cast<T>(amount));
      }
      return normalise(std::span<T const>(to));
    };
    if (!wanted.perturbed_toward.empty()) about.toward = perturbed(-wanted.perturbation);
    if (!wanted.perturbed_away.empty()) about.away = perturbed(wanted.perturbation);
  }

  void backward_divergence(bigram const& reference, choice_batch const& batch,
                           std::span<T const> coefficient) {
    // Kept apart from the gradient until finish_backward, so that the order of calls changes no bit.
    divergence_gradient_.resize(logits_.size());
    for_each_token(batch, [&](std::size_t i, std::size_t, std::size_t state, std::size_t) {
      if (coefficient[i] == 0) return;
      diverging_.insert(state);
      auto const ours = row(state);
      auto const theirs = reference.row(state);
      add_row_divergence_gradient(
          ours, normalise(ours), theirs, normalise(theirs), static_cast<double>(coefficient[i]),
          std::span(divergence_gradient_).subspan(state * vocabulary_, vocabulary_));
    });
  }

  // of(token before it, token), added up over each completion in double; nothing where no column is wanted.
  void sum_weighted(choice_batch const& batch, std::span<T> out, std::span<double const> weight,
                    auto&& of) const {
    if (out.empty()) return;
    std::size_t t = 0;
    over_tokens(batch, out, [&](std::size_t state, std::size_t token) {
      double const w = weight.empty() ? 1 : weight[t];
      ++t;
      return w == 0 ? 0.0 : w * static_cast<double>(of(state, token));
    });
  }
  void over_tokens(choice_batch const& batch, std::span<T> out, auto&& of) const {
    over_tokens(batch, out, of, [](double sum, std::size_t) { return sum; });
  }
  void over_tokens(choice_batch const& batch, std::span<T> out, auto&& of, auto&& result) const {
    if (out.empty()) return;
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
  std::vector<T> logits_;                          // [states, vocabulary]: current, next
  std::vector<T> gradient_;                        // [states, vocabulary]
  std::size_t states_;                             // rows: tokens that another may follow
  std::vector<softmax_normaliser<T>> normaliser_;  // [states], those of the last batch
  std::vector<about_row> about_;                   // [states], of the last batch
  std::vector<T> perturbed_;                       // [states, vocabulary] once it is asked for
  std::vector<double> divergence_gradient_;        // [states, vocabulary] once it is asked for
  detail::id_set in_batch_;
  detail::coefficient_sums sums_;
  detail::id_set diverging_;
  std::vector<row_sum> rows_;
  executor threads_;
};

}  // namespace prefer::inline v0_1
