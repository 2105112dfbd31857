// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/minibatch.hpp>
#include <prefer/expects.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/completion_outputs.hpp>
#include <prefer/policy/token_policy.hpp>
#include <prefer/train/example_source.hpp>
#include <prefer/train/example_values.hpp>

namespace prefer::inline v0_1::detail {

/// What scored_minibatch is, for a loss whose examples are tokens: every token of a completion is one, with the
/// completion's label, score, length, weight and beta.
template <class P, Loss L, class R>
class scored_tokens {
  static_assert(L::arity == 1,
                "prefer: a loss over tokens has arity 1; pairs and lists are of completions");
  static_assert(TokenPolicy<P, choice_batch>,
                "prefer: this loss is over tokens, which this policy does not give; a token policy "
                "has token_offsets, token_log_prob and token_backward");
  static_assert(!needs<L>.contains(column_name::reference) || TokenReference<R, choice_batch>,
                "prefer: this loss reads a reference token by token, which this reference does not "
                "give; it has token_offsets and token_log_prob, as a frozen token policy has");

 public:
  using value_type = typename P::value_type;

  static constexpr bool takes_logits = false;

  scored_tokens(P& policy, R& reference, bool reads_reference, bool /*allow_logits*/)
      : policy_(policy), reference_(reference), reads_reference_(reads_reference) {
    expects(!reads_reference || TokenReference<R, choice_batch>,
            "trainer: this loss reads a reference token by token, which this reference does not "
            "give");
  }

  void gather(ExampleSource auto& source, std::uint64_t step, std::uint64_t /*seed*/,
              auto const& all) {
    gather_part(source, step, batch_, all);
    policy_.token_offsets(groups(0, size()), token_offset_);
    std::size_t const tokens = token_offset_.back();
    log_prob_.resize(tokens);
    reference_log_prob_.resize(reads_reference_ ? tokens : 0);
    value_.resize(tokens);
    coefficient_.resize(tokens);
    choice_data::describe(of_tokens_, [&](auto is, per, std::vector<float>& to) {
      with_column<is.name>(batch_.data(),
                           [&](std::vector<float> const& from, per) { spread(from, to); });
    });
    batch_.expects_numbers(tokens);
    examples_ = tokens;
  }
  void be_part_of(std::size_t examples) { examples_ = examples; }
  [[nodiscard]] std::size_t own_examples() const { return value_.size(); }
  [[nodiscard]] std::size_t examples() const { return examples_; }

  [[nodiscard]] std::size_t size() const { return batch_.size(); }
  [[nodiscard]] choice_data const& data() const { return batch_.data(); }
  /// The columns that the source gives beside the data.
  [[nodiscard]] column_set beside() const { return batch_.numbers().available(); }
  [[nodiscard]] std::size_t row(std::size_t group) const { return batch_.row()[group]; }
  /// Groups [begin, begin + count), to be used before the next call.
  [[nodiscard]] choice_batch groups(std::size_t begin, std::size_t count) {
    return batch_.slice(begin, count);
  }
  /// Tokens of other prompts' completions have no meaning for a loss over tokens; one that wants them says so.
  [[nodiscard]] bool has_kl_examples() const { return false; }

  void score(L const& /*loss*/, std::size_t begin, std::size_t count) {
    choice_batch const slice = batch_.slice(begin, count);
    if constexpr (TokenReference<R, choice_batch>) {
      if (reads_reference_) {
        reference_.token_log_prob(slice, of_tokens(reference_log_prob_, begin, count));
      }
    }
    ask_policy(slice, begin, count);
  }
  void score_policy_again(std::size_t begin, std::size_t count) {
    ask_policy(batch_.slice(begin, count), begin, count);
  }
  void score_kl_examples(std::size_t /*begin*/, std::size_t /*count*/) {}

  /// The tokens of groups [begin, begin + count) as the loss reads them.
  [[nodiscard]] unpaired_columns columns(std::size_t begin, std::size_t count) {
    unpaired_columns out{.policy = of_tokens(log_prob_, begin, count)};
    unpaired_columns::describe(out, [&](auto is, per, column& to) {
      with_column<is.name>(of_tokens_, [&](std::vector<float> const& numbers, per) {
        // Absent where the data has no such column; a part without rows has every column, each empty.
        if (!numbers.empty() || batch_.size() == 0) to = of_tokens(numbers, begin, count);
      });
    });
    std::size_t const first = token_offset_[begin];
    batch_.hand_over_numbers(out, first, token_offset_[begin + count] - first);
    if (reads_reference_) out.reference = of_tokens(reference_log_prob_, begin, count);
    return out;
  }

  void evaluate(L const& loss, std::size_t begin, std::size_t count, loss_state<L> const& state,
                executor threads) {
    auto const coefficients = of_tokens(coefficient_, begin, count);
    evaluate_into(loss, columns(begin, count),
                  {.value = of_tokens(value_, begin, count), .coefficient = coefficients}, state,
                  {.reduce = reduction::none, .threads = threads});
    auto const mean = static_cast<value_type>(1.0 / static_cast<double>(examples_));
    for (value_type& c : coefficients) c *= mean;
  }

  [[nodiscard]] double largest_coefficient(std::size_t group) const {
    return largest_size<value_type>(of_tokens(coefficient_, group, 1));
  }
  void settle(std::size_t group) {
    for (value_type& c : of_tokens(coefficient_, group, 1)) c = 0;
  }

  void backward(std::size_t begin, std::size_t count) {
    std::span<value_type const> const coefficients = of_tokens(coefficient_, begin, count);
    backward_pass(policy_, batch_.slice(begin, count),
                  completion_gradients<value_type>{.token_log_prob = coefficients}, reference_);
  }

  [[nodiscard]] sum_and_count loss() const { return sum_of_values<value_type>(value_); }
  [[nodiscard]] not_finite first_not_finite(std::size_t begin, std::size_t count) const {
    return detail::first_not_finite<value_type>(value_, token_offset_, coefficient_, token_offset_,
                                                begin, count);
  }

 private:
  // Groups have one completion each, so its tokens are theirs.
  [[nodiscard]] auto of_tokens(auto& values, std::size_t begin, std::size_t count) const {
    std::size_t const first = token_offset_[begin];
    return std::span(values).subspan(first, token_offset_[begin + count] - first);
  }
  // One number per completion to one per token.
  void spread(std::span<float const> from, std::vector<float>& to) const {
    to.clear();
    for (std::size_t i = 0; i < from.size(); ++i) {
      to.insert(to.end(), token_offset_[i + 1] - token_offset_[i], from[i]);
    }
  }

  void ask_policy(choice_batch const& slice, std::size_t begin, std::size_t count) {
    forward_pass(
        policy_, slice,
        completion_outputs<value_type>{.token_log_prob = of_tokens(log_prob_, begin, count)},
        reference_);
  }

  P& policy_;
  R& reference_;
  bool reads_reference_;

  choice_minibatch batch_;
  std::size_t examples_ = 0;
  std::vector<std::size_t> token_offset_ = {0};
  std::vector<value_type> log_prob_;
  std::vector<typename R::value_type> reference_log_prob_;
  std::vector<value_type> coefficient_;
  std::vector<value_type> value_;
  choice_data of_tokens_;  // what the data says of each token's completion
};

}  // namespace prefer::inline v0_1::detail
