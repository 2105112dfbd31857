// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/reference/reference.hpp>
#include <prefer/reference/reference_wrapper.hpp>

namespace prefer::inline v0_1 {

/// A reference that is not told the prompt: how likely the completion is as such.
///
///   log_prob(y | x) = log p(y | no_prompt)
///
///   auto reference = prefer::unconditional(prefer::frozen(start), 0);  // prompt 0 stands for "no prompt"
///
/// `no_prompt` is the number of the prompt that the wrapped reference is asked with for every row: an empty
/// text, or a user that nothing is known of. The reward of a loss held near it is the pointwise mutual
/// information of prompt and completion, plus what the policy learns.
/// Row numbers are not passed on, so the wrapped reference cannot be a cache by row; cache this one instead.
///
/// Source  the prior of Liu, Liu and Cohan 2024, "Understanding Reference Policies in Direct Preference
///         Optimization", arXiv:2407.13709; as a column of such numbers in their code, so this reading of
///         theirs is a likely one and no more
template <class R>
  requires Reference<R, choice_batch>
class unconditional : public reference_wrapper<R> {
  using base = reference_wrapper<R>;
  using base::reference_;

 public:
  using value_type = typename R::value_type;

  unconditional(R reference, std::uint32_t no_prompt)
      : base(std::move(reference)), no_prompt_(no_prompt) {}

  void log_prob(choice_batch const& batch, std::span<value_type> out) {
    reference_.log_prob(without_prompts(batch), out);
  }
  void logit(choice_batch const& batch, std::span<value_type> out)
    requires requires(R& r) { r.logit(batch, out); }
  {
    reference_.logit(without_prompts(batch), out);
  }

  [[nodiscard]] std::uint64_t identity() {
    fingerprint out;
    out.add("unconditional").add(no_prompt_);
    if constexpr (detail::identified_reference<R>) out.add(base::identity());
    return out.value();
  }
  [[nodiscard]] std::uint32_t no_prompt() const { return no_prompt_; }

 private:
  choice_batch without_prompts(choice_batch const& batch) {
    prompt_.assign(batch.size(), no_prompt_);
    return {.prompt = view_of(prompt_),
            .completion = batch.completion,
            .offset = batch.offset,
            .kl_examples = batch.kl_examples,
            .drawn = batch.drawn,
            .draw = batch.draw};
  }

  std::uint32_t no_prompt_;
  std::vector<std::uint32_t> prompt_;
};

}  // namespace prefer::inline v0_1
