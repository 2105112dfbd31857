// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/lm/model/row_layout.hpp>

namespace prefer::inline v0_1::lm {

/// Which batch a forward pass has kept its numbers of, and what it was asked for.
class learnt_batch {
 public:
  void learn(choice_batch const& batch, row_question const& asked) {
    prompt_.assign(batch.prompt.begin(), batch.prompt.end());
    completion_.assign(batch.completion.begin(), batch.completion.end());
    offset_.assign(batch.offset.begin(), batch.offset.end());
    step_offset_.assign(asked.step_offset.begin(), asked.step_offset.end());
    scoring_ = asked.scoring;
    any_ = true;
  }
  void forget() { any_ = false; }

  [[nodiscard]] bool is(choice_batch const& batch, row_question const& asked) const {
    auto const same = [](auto const& a, auto const& b) {
      if (a.size() != b.size()) return false;
      for (std::size_t i = 0; i != a.size(); ++i) {
        if (a[i] != b[i]) return false;
      }
      return true;
    };
    return any_ && scoring_ == asked.scoring && same(step_offset_, asked.step_offset) &&
           same(prompt_, batch.prompt) && same(completion_, batch.completion) &&
           same(offset_, batch.offset);
  }

 private:
  bool any_ = false;
  row_scoring scoring_ = row_scoring::tokens;
  std::vector<std::uint32_t> prompt_;
  std::vector<std::uint32_t> completion_;
  std::vector<std::size_t> offset_;
  std::vector<std::size_t> step_offset_;
};

}  // namespace prefer::inline v0_1::lm
