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
#include <prefer/lm/model/finished_completion.hpp>
#include <prefer/lm/model/llama_decoder.hpp>
#include <prefer/lm/model/llama_pass.hpp>
#include <prefer/policy/sampling_policy.hpp>
#include <prefer/random/philox.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

inline void expects_room(llama_config const& model, std::size_t prompt, std::uint32_t id,
                         sampling_options const& how) {
  expects(how.max_tokens != 0, "llama::sample: max_tokens must be at least 1");
  expects(how.side_by_side != 0, "llama::sample: side_by_side must be at least 1");
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

/// Writes completions of many prompts, some side by side: a step reads all weights once for all of them. Whoever is ready
/// leaves, and others take the place. A prompt that several completions in turn begin with is read once.
template <std::floating_point T>
class llama_sampler {
 public:
  explicit llama_sampler(llama_config const& of) : config_(of), decoder_(of) {}

  /// As SamplingPolicy says; prompts are numbers in `table`, one for each completion.
  void sample(llama_view<T> const& model, arithmetic<T> const& by, llama_pass<T>& pass,
              token_table const& table, std::span<std::uint32_t const> prompts,
              sampling_options const& how, random_address const& from, token_table& into,
              std::span<std::uint32_t> ids, sampling_listener const& heard = {}) {
    expects_size(ids.size(), prompts.size(), "llama::sample", "ids");
    for (std::uint32_t const each : prompts) {
      detail::expects_room(config_, table.length(each), each, how);
    }
    how_ = how;
    from_ = from;
    draw_.assign(draws_at_once, token_sampler(how));
    written_.assign(prompts.size(), {});
    active_.clear();
    last_prompt_.clear();
    // Reading prompts reads all weights as a step does, so that it waits until there is room for some.
    std::size_t const room = prefer::detail::at_least(1, how.side_by_side / 4);
    std::size_t started = 0;
    while (started != prompts.size() || !active_.empty()) {
      if (started != prompts.size() && active_.size() + room <= how.side_by_side) {
        started = start(model, by, pass, table, prompts, started);
      } else {
        step(model, by.threads);
      }
      let_go(heard);
    }
    last_prompt_.clear();
    // In the order of the prompts, whoever was ready first. A table may be the one that prompts lie in.
    for (std::size_t i = 0; i != ids.size(); ++i) ids[i] = into.add(written_[i]);
  }

 private:
  // Prompt tokens that a pass reads at once, unless one prompt has more; and sequences whose next tokens are drawn at once.
  static constexpr std::size_t tokens_at_once = 2048;
  static constexpr std::size_t draws_at_once = 8;

  struct sequence {
    std::size_t number;  // among the prompts
    key_value_cache<T> cache;
    random_stream numbers;
  };
  // A prompt that is read, and what could follow it.
  struct known_prompt {
    std::uint32_t number;  // in the table
    key_value_cache<T> cache;
    std::vector<T> logits;
  };

  // Reads the prompts of the next completions, and draws their first tokens. Returns how many are started then.
  std::size_t start(llama_view<T> const& model, arithmetic<T> const& by, llama_pass<T>& pass,
                    token_table const& table, std::span<std::uint32_t const> prompts,
                    std::size_t first) {
    // The last prompt that was read comes before those that are read now: its completions may go on.
    std::vector<known_prompt> known = std::exchange(last_prompt_, {});
    std::vector<std::uint32_t> number;  // of each prompt, in the table
    for (auto const& each : known) number.push_back(each.number);
    token_table read;
    std::vector<std::size_t> which;  // of `number`, for each completion
    std::size_t end = first;
    for (; end != prompts.size() && active_.size() + which.size() != how_.side_by_side; ++end) {
      std::size_t place = 0;
      while (place != number.size() && number[place] != prompts[end]) ++place;
      if (place == number.size()) {
        std::size_t const tokens = read.token().size() + table.length(prompts[end]);
        if (tokens > tokens_at_once && !which.empty()) break;
        read.add(table.tokens(prompts[end]));
        number.push_back(prompts[end]);
      }
      which.push_back(place);
    }
    if (read.size() != 0) {
      std::vector<key_value_cache<T>> caches;
      decoder_.read(model, by, pass, read, caches, logits_);
      for (std::size_t p = 0; p != caches.size(); ++p) {
        auto const follows = row(logits_, p);
        known.push_back(
            {number[known.size()], std::move(caches[p]), {follows.begin(), follows.end()}});
      }
    }
    std::size_t const old = active_.size();
    for (std::size_t i = 0; i != which.size(); ++i) {
      random_address address = from_;
      address.index += first + i;
      active_.push_back({first + i, known[which[i]].cache, random_stream(address)});
    }
    draw(by.threads, old,
         [&](std::size_t s) -> std::span<T const> { return known[which[s - old]].logits; });
    last_prompt_.push_back(std::move(known.back()));
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

  // The next token of every sequence from `first` on, from its row of logits.
  template <class LogitsOf>
  void draw(executor threads, std::size_t first, LogitsOf const& logits_of) {
    threads.for_each_chunk(draws_at_once, [&](std::size_t chunk) {
      for (std::size_t s = first + chunk; s < active_.size(); s += draws_at_once) {
        written_[active_[s].number].push_back(draw_[chunk](logits_of(s), active_[s].numbers));
      }
    });
  }
  // Who is ready leaves, and is told of.
  void let_go(sampling_listener const& heard) {
    std::vector<finished_completion> ready;
    std::erase_if(active_, [&](sequence const& each) {
      auto const& completion = written_[each.number];
      bool const ends =
          completion.size() == how_.max_tokens || completion.back() == how_.stop_token;
      if (ends) ready.push_back({each.number, completion});
      return ends;
    });
    heard(ready);
  }

  llama_config config_;
  llama_decoder<T> decoder_;
  sampling_options how_;
  random_address from_;
  std::vector<token_sampler> draw_;
  std::vector<std::vector<std::uint32_t>> written_;  // [completions]
  std::vector<sequence> active_;
  std::vector<known_prompt> last_prompt_;  // one, or none
  std::vector<T> logits_;
};

}  // namespace prefer::inline v0_1::lm
