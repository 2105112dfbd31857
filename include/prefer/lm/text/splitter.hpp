// SPDX-License-Identifier: MIT
#pragma once

#if !defined(PCRE2_CODE_UNIT_WIDTH)
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <prefer/expects.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

/// The expression with \s and \S as Unicode has white space. PCRE2's \s is that and U+180E, which has been no space
/// since Unicode 6.3, and is none for the libraries that vocabularies were made with.
[[nodiscard]] inline std::string with_unicode_space(std::string_view pattern) {
  constexpr std::string_view space =
      R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
  std::string out;
  bool in_class = false;
  for (std::size_t at = 0; at < pattern.size(); ++at) {
    bool const escape = pattern[at] == '\\' && at + 1 < pattern.size();
    char const escaped = escape ? pattern[at + 1] : '\0';
    if (escaped == 's') {
      out += in_class ? std::string(space) : "[" + std::string(space) + "]";
    } else if (escaped == 'S' && !in_class) {
      out += "[^" + std::string(space) + "]";
    } else if (escape) {
      out += pattern.substr(at, 2);
    } else {
      if (pattern[at] == '[') in_class = true;
      if (pattern[at] == ']') in_class = false;
      out += pattern[at];
    }
    at += escape ? 1 : 0;
  }
  return out;
}

}  // namespace detail

/// Cuts well-formed UTF-8 by a regular expression: every match is a piece, and so is what stands between two matches.
/// Joined, the pieces are the text.
///
/// The expression is PCRE2's, with Unicode properties and Unicode's white space, compiled to machine code where this build of PCRE2 can. Calls from
/// several threads at once are independent.
///
/// Errors  backend_error: an expression that PCRE2 refuses, or a match that it gives up
class splitter {
 public:
  explicit splitter(std::string_view pattern) {
    std::string const written = detail::with_unicode_space(pattern);
    int error = 0;
    std::size_t at = 0;
    code_.reset(pcre2_compile_8(reinterpret_cast<PCRE2_SPTR8>(written.data()), written.size(),
                                PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr));
    if (!code_) fail("expression, character " + std::to_string(at), error);
    compiled_ = pcre2_jit_compile_8(code_.get(), PCRE2_JIT_COMPLETE) == 0;
  }

  /// Calls take(piece) for each piece in its order. The text must be well-formed.
  template <class Take>
  void split(std::string_view text, Take const& take) const {
    if (text.empty()) return;
    matching run(code_.get());
    auto const* const subject = reinterpret_cast<PCRE2_SPTR8>(text.data());
    std::size_t const* const found = pcre2_get_ovector_pointer_8(run.data.get());
    std::size_t done = 0;
    while (done < text.size()) {
      int const outcome =
          compiled_ ? pcre2_jit_match_8(code_.get(), subject, text.size(), done, 0, run.data.get(),
                                        run.context.get())
                    : pcre2_match_8(code_.get(), subject, text.size(), done, PCRE2_NO_UTF_CHECK,
                                    run.data.get(), run.context.get());
      if (outcome == PCRE2_ERROR_NOMATCH) break;
      if (outcome < 0) fail("byte " + std::to_string(done), outcome);
      if (found[1] <= found[0]) break;  // an empty match would be found for ever
      if (found[0] > done) take(text.substr(done, found[0] - done));
      take(text.substr(found[0], found[1] - found[0]));
      done = found[1];
    }
    if (done < text.size()) take(text.substr(done));
  }

 private:
  struct free_code {
    void operator()(pcre2_code_8* code) const noexcept { pcre2_code_free_8(code); }
  };
  struct free_data {
    void operator()(pcre2_match_data_8* data) const noexcept { pcre2_match_data_free_8(data); }
  };
  struct free_context {
    void operator()(pcre2_match_context_8* context) const noexcept {
      pcre2_match_context_free_8(context);
    }
  };

  /// What one call of split writes to.
  struct matching {
    explicit matching(pcre2_code_8 const* code)
        : data(pcre2_match_data_create_from_pattern_8(code, nullptr)),
          context(pcre2_match_context_create_8(nullptr)) {
      if (!data || !context) fail("memory", PCRE2_ERROR_NOMEMORY);
      // A run of spaces as long as the text is tried from its end once, which is linear and may exceed the usual limit.
      pcre2_set_match_limit_8(context.get(), UINT32_MAX);
    }
    std::unique_ptr<pcre2_match_data_8, free_data> data;
    std::unique_ptr<pcre2_match_context_8, free_context> context;
  };

  [[noreturn]] static void fail(std::string const& place, int code) {
    std::array<unsigned char, 256> reason{};
    pcre2_get_error_message_8(code, reason.data(), reason.size());
    refuse(backend_error("lm::splitter", place, reinterpret_cast<char const*>(reason.data())));
  }

  std::unique_ptr<pcre2_code_8, free_code> code_;
  bool compiled_ = false;
};

}  // namespace prefer::inline v0_1::lm
