// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/reference/composite.hpp>
#include <prefer/reference/reference.hpp>

namespace prefer::inline v0_1 {

/// Another reference for every kind of prompt: a domain, a language, a group of users.
///
///   log_prob(y | x) = log_prob_{which[x]}(y | x)
///
///   prefer::per_prompt reference(domain_of_prompt, prefer::frozen(general), prefer::frozen(medical));
///
/// Every loss compares completions of one prompt, so references of different prompts need not be comparable;
/// a batch statistic (KTO's baseline) averages over them. A part that is not normalised makes this one so.
///
/// Errors  precondition_error for a number in `which` that is not one of the references, and for a batch with
///         a prompt that `which` does not have
template <class... R>
class per_prompt : public composite<R...> {
 public:
  using value_type = typename composite<R...>::value_type;
  static constexpr bool logits = (detail::gives_logits<R, choice_batch> && ...);

  explicit per_prompt(std::vector<std::uint32_t> which, R... parts)
      : composite<R...>(std::move(parts)...), which_(std::move(which)) {
    for (std::size_t x = 0; x < which_.size(); ++x) {
      if (which_[x] < sizeof...(R)) continue;
      detail::broken("per_prompt: prompt " + std::to_string(x) + " has reference " +
                     std::to_string(which_[x]) + " of " + std::to_string(sizeof...(R)));
    }
  }

  void log_prob(choice_batch const& batch, std::span<value_type> out) {
    dispatch(batch, out, [](auto& part, auto const& own, auto to) { part.log_prob(own, to); });
  }
  void logit(choice_batch const& batch, std::span<value_type> out)
    requires logits
  {
    dispatch(batch, out, [](auto& part, auto const& own, auto to) { part.logit(own, to); });
  }

  [[nodiscard]] std::uint64_t identity() {
    return fingerprint()
        .add("per_prompt")
        .add(std::span<std::uint32_t const>(which_))
        .add(composite<R...>::identity())
        .value();
  }

 private:
  void dispatch(choice_batch const& batch, std::span<value_type> out, auto const& ask) {
    expects_size(out.size(), batch.completions(), "per_prompt::log_prob", "out");
    for (std::uint32_t const x : batch.prompt) {
      if (x < which_.size()) continue;
      detail::broken("per_prompt::log_prob: the batch has prompt " + std::to_string(x) +
                     "; there is a reference for prompts below " + std::to_string(which_.size()));
    }
    std::uint32_t k = 0;
    this->for_each([&](auto& part) {
      gather(batch, k++);
      if (group_.empty()) return;
      said_.resize(completion_.size());
      ask(part,
          choice_batch{.prompt = prompt_,
                       .completion = completion_,
                       .offset = offset_,
                       .row = row_,
                       .kl_examples = batch.kl_examples,
                       .drawn = batch.drawn,
                       .draw = batch.draw},
          std::span<value_type>(said_));
      for (std::size_t m = 0; m < group_.size(); ++m) {
        std::size_t const first = batch.offset[group_[m]];
        for (std::size_t i = offset_[m]; i < offset_[m + 1]; ++i) {
          out[first + i - offset_[m]] = said_[i];
        }
      }
    });
  }

  // The groups of a batch that belong to reference k, as a batch of their own.
  void gather(choice_batch const& batch, std::uint32_t k) {
    group_.clear();
    prompt_.clear();
    completion_.clear();
    row_.clear();
    offset_.assign(1, 0);
    for (std::size_t g = 0; g < batch.size(); ++g) {
      if (which_[batch.prompt[g]] != k) continue;
      group_.push_back(g);
      prompt_.push_back(batch.prompt[g]);
      if (!batch.row.empty()) row_.push_back(batch.row[g]);
      for (std::size_t i = batch.offset[g]; i < batch.offset[g + 1]; ++i) {
        completion_.push_back(batch.completion[i]);
      }
      offset_.push_back(completion_.size());
    }
  }

  std::vector<std::uint32_t> which_;

  // Working memory, kept from batch to batch.
  std::vector<std::size_t> group_;
  std::vector<std::uint32_t> prompt_;
  std::vector<std::uint32_t> completion_;
  std::vector<std::size_t> row_;
  std::vector<std::size_t> offset_;
  std::vector<value_type> said_;
};

}  // namespace prefer::inline v0_1
