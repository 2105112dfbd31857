// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <prefer/policy/sampling_policy.hpp>
#include <support/policy_archetypes.hpp>

namespace prefer::test {

/// What a sampling archetype leaves out, or breaks.
enum class sampling_lacks { nothing, sample, options, table };

/// Exactly what SamplingPolicy asks for: no copies, no parameters, and nothing to be told about its completions, which
/// repeat the low bits of their address.
template <sampling_lacks L = sampling_lacks::nothing>
class sampling_archetype {
 public:
  sampling_archetype() = default;
  sampling_archetype(sampling_archetype const&) = delete;

  unused sample(std::span<std::uint32_t const> prompts, sampling_options const& how,
                random_address const& from, token_table& into, std::span<std::uint32_t> ids)
    requires(L == sampling_lacks::nothing)
  {
    for (std::size_t i = 0; i != prompts.size(); ++i) {
      std::uint32_t const tokens[] = {static_cast<std::uint32_t>((from.index + i) % 2),
                                      static_cast<std::uint32_t>(how.max_tokens % 2)};
      ids[i] = into.add(tokens);
    }
    return {};
  }
  unused sample(std::span<std::uint32_t const>, random_address const&, token_table&,
                std::span<std::uint32_t>)
    requires(L == sampling_lacks::options);
  unused sample(std::span<std::uint32_t const>, sampling_options const&, random_address const&,
                std::span<std::uint32_t>)
    requires(L == sampling_lacks::table);
};

}  // namespace prefer::test
