// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <prefer/policy/sampling_policy.hpp>

namespace sweep {

/// Two policies that write in turn: of each two completions the first is by one, the second by the other. Both are borrowed.
template <prefer::SamplingPolicy First, prefer::SamplingPolicy Second>
class two_writers {
 public:
  two_writers(First& first, Second& second) : first_(&first), second_(&second) {}

  void sample(std::span<std::uint32_t const> prompts, prefer::sampling_options const& how,
              prefer::random_address const& from, prefer::token_table& into,
              std::span<std::uint32_t> ids) {
    prefer::random_address at = from;
    for (std::size_t i = 0; i < prompts.size(); ++i, ++at.index) {
      auto const one = [&](auto& writer) {
        writer.sample(prompts.subspan(i, 1), how, at, into, ids.subspan(i, 1));
      };
      i % 2 == 0 ? one(*first_) : one(*second_);
    }
  }

 private:
  First* first_;
  Second* second_;
};

}  // namespace sweep
