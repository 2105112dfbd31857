// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/batch/token_table.hpp>
#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/weight_products.hpp>
#include <prefer/lm/layers/key_value_cache.hpp>
#include <prefer/lm/model/llama_decoder.hpp>
#include <prefer/lm/model/llama_pass.hpp>
#include <prefer/policy/sampling_policy.hpp>
#include <prefer/random/philox.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

inline void expects_room(llama_config const& model, std::size_t prompt, std::uint32_t id,
                         sampling_options const& how) {
  expects(how.max_tokens != 0, "llama::sample: max_tokens must be at least 1");
  if (prompt + how.max_tokens - 1 <= model.context) return;
  refuse("llama::sample: prompt " + std::to_string(id) + " has " + std::to_string(prompt) +
         " tokens, and " + std::to_string(how.max_tokens) + " after them take " +
         std::to_string(prompt + how.max_tokens - 1) + " positions, the model's context is " +
         std::to_string(model.context));
}

}  // namespace detail

/// One completion, token by token, for who shows it while it grows.
///
///   prefer::lm::llama_stream<float> stream(policy.view(), policy.options().by, prompt, how, {.seed = 7});
///   while (auto const token = stream.next()) std::cout << tokenizer.decode(*token) << std::flush;
///
/// Bits    the tokens of `llama::sample` at this address
/// Errors  precondition_error where prompt and max_tokens need more positions than the model has; see token_sampler
template <std::floating_point T>
class llama_stream {
 public:
  llama_stream(llama_view<T> const& model, arithmetic<T> const& by,
               std::span<std::uint32_t const> prompt, sampling_options const& how,
               random_address const& from)
      : model_(model),
        by_(by),
        how_(how),
        draw_(how),
        numbers_(from),
        decoder_(model.weights->config) {
    detail::expects_room(model.weights->config, prompt.size(), 0, how);
    token_table prompts;
    prompts.add(prompt);
    llama_pass<T> pass(model.weights->config);
    decoder_.read(model_, by_, pass, prompts, cache_, logits_);
  }

  /// The next token; nothing after the stop token, or after max_tokens.
  [[nodiscard]] std::optional<std::uint32_t> next() {
    if (given_ == how_.max_tokens || (given_ != 0 && last_ == how_.stop_token)) return {};
    if (given_ != 0) {
      key_value_cache<T>* const only[] = {&cache_.front()};
      decoder_.step(model_, by_.threads, only, {&last_, 1});
    }
    last_ = draw_(given_ == 0 ? std::span<T const>(logits_) : decoder_.logits(), numbers_);
    ++given_;
    return last_;
  }

 private:
  llama_view<T> model_;
  arithmetic<T> by_;
  sampling_options how_;
  token_sampler draw_;
  random_stream numbers_;
  llama_decoder<T> decoder_;
  std::vector<key_value_cache<T>> cache_;
  std::vector<T> logits_;  // behind the prompt
  std::uint32_t last_ = 0;
  std::size_t given_ = 0;
};

/// Writes completions of many prompts at once. What several of them begin with alike, their prompt, is read once; who is
/// ready leaves, and others take the place.
template <std::floating_point T>
class llama_sampler {
 public:
  explicit llama_sampler(llama_config const& of) : config_(of), decoder_(of) {}

  /// As SamplingPolicy says; prompts are numbers in `table`, one for each completion.
  void sample(llama_view<T> const& model, arithmetic<T> const& by, llama_pass<T>& pass,
              token_table const& table, std::span<std::uint32_t const> prompts,
              sampling_options const& how, random_address const& from, token_table& into,
              std::span<std::uint32_t> ids) {
    expects_size(ids.size(), prompts.size(), "llama::sample", "ids");
    for (std::uint32_t const each : prompts) {
      detail::expects_room(config_, table.length(each), each, how);
    }
    how_ = how;
    from_ = from;
    draw_.assign(draws_at_once, token_sampler(how));
    written_.assign(prompts.size(), {});
    active_.clear();
    std::size_t started = 0;
    while (started != prompts.size() || !active_.empty()) {
      if (started != prompts.size() && active_.size() <= sequences_at_once * 3 / 4) {
        started = start(model, by, pass, table, prompts, started);
      } else {
        step(model, by.threads);
      }
    }
    // In the order of the prompts, whoever was ready first. A table may be the one that prompts lie in.
    for (std::size_t i = 0; i != ids.size(); ++i) ids[i] = into.add(written_[i]);
  }

 private:
  // Sequences that share a reading of all weights; prompt tokens that a pass reads at once, unless one prompt has more;
  // and sequences whose next tokens are drawn at once.
  static constexpr std::size_t sequences_at_once = 64;
  static constexpr std::size_t tokens_at_once = 2048;
  static constexpr std::size_t draws_at_once = 8;

  struct sequence {
    std::size_t number;  // among the prompts
    key_value_cache<T> cache;
    random_stream numbers;
  };

  // Reads the prompts of the next completions, and draws their first tokens. Returns how many are started then.
  std::size_t start(llama_view<T> const& model, arithmetic<T> const& by, llama_pass<T>& pass,
                    token_table const& table, std::span<std::uint32_t const> prompts,
                    std::size_t first) {
    token_table read;
    std::vector<std::uint32_t> which;   // of the prompts that are read, for each completion
    std::vector<std::uint32_t> number;  // that each has among all
    std::size_t end = first;
    for (; end != prompts.size() && active_.size() + (end - first) != sequences_at_once; ++end) {
      std::size_t place = 0;
      while (place != number.size() && number[place] != prompts[end]) ++place;
      if (place == number.size()) {
        if (place != 0 && read.token().size() + table.length(prompts[end]) > tokens_at_once) break;
        read.add(table.tokens(prompts[end]));
        number.push_back(prompts[end]);
      }
      which.push_back(static_cast<std::uint32_t>(place));
    }
    decoder_.read(model, by, pass, read, caches_, logits_);
    std::size_t const old = active_.size();
    for (std::size_t i = first; i != end; ++i) {
      random_address address = from_;
      address.index += i;
      active_.push_back({i, caches_[which[i - first]], random_stream(address)});
    }
    draw(by.threads, old, [&](std::size_t s) { return row(logits_, which[s - old]); });
    caches_.clear();
    return end;
  }

  void step(llama_view<T> const& model, executor threads) {
    std::vector<key_value_cache<T>*> caches;
    std::vector<std::uint32_t> last;
    for (sequence& each : active_) {
      caches.push_back(&each.cache);
      last.push_back(written_[each.number].back());
    }
    decoder_.step(model, threads, caches, last);
    draw(threads, 0, [&](std::size_t s) { return row(decoder_.logits(), s); });
  }

  [[nodiscard]] std::span<T const> row(std::span<T const> logits, std::size_t of) const {
    return logits.subspan(of * config_.vocabulary, config_.vocabulary);
  }

  // The next token of every sequence from `first` on, from its row of logits; those that end leave.
  template <class LogitsOf>
  void draw(executor threads, std::size_t first, LogitsOf const& logits_of) {
    threads.for_each_chunk(draws_at_once, [&](std::size_t chunk) {
      for (std::size_t s = first + chunk; s < active_.size(); s += draws_at_once) {
        written_[active_[s].number].push_back(draw_[chunk](logits_of(s), active_[s].numbers));
      }
    });
    std::erase_if(active_, [&](sequence const& each) {
      auto const& completion = written_[each.number];
      return completion.size() == how_.max_tokens || completion.back() == how_.stop_token;
    });
  }

  llama_config config_;
  llama_decoder<T> decoder_;
  sampling_options how_;
  random_address from_;
  std::vector<token_sampler> draw_;
  std::vector<std::vector<std::uint32_t>> written_;  // [completions]
  std::vector<sequence> active_;
  std::vector<key_value_cache<T>> caches_;  // of prompts
  std::vector<T> logits_;
};

}  // namespace prefer::inline v0_1::lm
