// SPDX-License-Identifier: MIT
#include "language_writer.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_sequences.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/lm/text/utf8_stream.hpp>
#include <prefer/random/philox.hpp>

#include "../language/model.hpp"
#include "../language/prompt.hpp"
#include "../program/kept.hpp"
#include "../program/kept_rows.hpp"
#include "../program/signals.hpp"

namespace sample {

namespace {

namespace data = prefer::data;
namespace lm = prefer::lm;

class language_writer final : public writer {
 public:
  explicit language_writer(language::model_options const& given)
      : model_(given), adapter_(given.adapter), tuned_(model_.fixed(texts_)) {
    if (!given.adapter.empty()) start_ = model_.start(texts_);
  }

  void write(std::span<request const> requests, prefer::sampling_options const& how,
             std::uint64_t seed, side by, taker const& take) override {
    prefer::sampling_options with_end = how;
    prompts_ = encode(requests, with_end);
    language::held_policy& policy = by == side::start && start_ ? *start_ : *tuned_;
    ids_.assign(prompts_.size(), 0);
    texts_.completions.keep_first(0);
    std::vector<std::optional<completion>> ready(requests.size());
    std::size_t taken = 0;
    policy.sample(prompts_, with_end, address_of(requests.front(), seed), texts_.completions, ids_,
                  [&](std::span<lm::finished_completion const> finished) {
                    if (program::interrupted) throw program::stop();
                    for (auto const& each : finished) {
                      ready[each.number] = completion_of(each.tokens, with_end);
                    }
                    for (; taken != ready.size() && ready[taken]; ++taken) {
                      take(taken, *std::exchange(ready[taken], std::nullopt));
                    }
                  });
  }

  completion stream(request const& of, prefer::sampling_options const& how, std::uint64_t seed,
                    listener const& heard) override {
    prefer::sampling_options with_end = how;
    std::uint32_t const prompt = encode({&of, 1}, with_end).front();
    std::vector<std::uint32_t> tokens;
    lm::utf8_stream text;
    tuned_->stream(texts_.prompts.tokens(prompt), with_end, address_of(of, seed),
                   [&](std::uint32_t token) {
                     tokens.push_back(token);
                     if (!model_.words().is_control(token)) {
                       heard(text.add(model_.words().bytes(token)));
                     }
                   });
    heard(text.end());
    return completion_of(tokens, with_end);
  }

  std::optional<std::vector<double>> log_ratios() override {
    if (!start_) return std::nullopt;
    prefer::choice_data written;
    for (std::size_t i = 0; i != ids_.size(); ++i) {
      written.add_list(prompts_[i], std::span(ids_).subspan(i, 1));
    }
    std::vector<float> of_tuned(ids_.size());
    std::vector<float> of_start(ids_.size());
    tuned_->handle().log_prob(written.batch(), of_tuned);
    start_->handle().log_prob(written.batch(), of_start);
    std::vector<double> out;
    for (std::size_t i = 0; i != ids_.size(); ++i) {
      out.push_back(static_cast<double>(of_tuned[i]) - static_cast<double>(of_start[i]));
    }
    return out;
  }

  [[nodiscard]] std::string description() const override { return model_.in_words(); }
  [[nodiscard]] std::uint64_t identity() const override {
    prefer::fingerprint out;
    out.add(model_.identity()).add(model_.words().identity());
    if (!adapter_.empty()) out.add(program::content_of(adapter_ + "/adapter_model.safetensors"));
    return out.value();
  }

 private:
  /// The numbers of the prompts in the table, which holds these alone; `how` gets the token that ends a completion.
  std::vector<std::uint32_t> encode(std::span<request const> requests,
                                    prefer::sampling_options& how) {
    texts_.prompts.keep_first(0);
    std::vector<std::uint32_t> out;
    for (std::size_t i = 0; i != requests.size(); ++i) {
      data::turns const& prompt = *requests[i].prompt;
      prefer::expects(prompt.is_text() == requests.front().prompt->is_text(),
                      "language_writer: prompts are all texts or all messages");
      if (i != 0 && requests[i - 1].prompt == &prompt) {
        out.push_back(out.back());
        continue;
      }
      auto const tokens = language::prompt_tokens(prompt, model_.words());
      language::expect_room(prompt, tokens.size(), how.max_tokens, model_.config().context);
      out.push_back(texts_.prompts.add(tokens));
    }
    how.stop_token = language::end_of_answer(*requests.front().prompt, model_.words());
    return out;
  }

  static prefer::random_address address_of(request const& first, std::uint64_t seed) {
    return {.seed = seed, .purpose = prefer::random_purpose::completion, .index = first.number};
  }
  completion completion_of(std::span<std::uint32_t const> tokens,
                           prefer::sampling_options const& how) const {
    bool const ended = tokens.back() == how.stop_token;
    return {model_.words().decode_text(tokens), tokens.size(), ended, std::nullopt};
  }

  prefer::token_sequences texts_;
  language::model model_;
  std::string adapter_;
  std::unique_ptr<language::held_policy> tuned_;
  std::unique_ptr<language::held_policy> start_;
  std::vector<std::uint32_t> prompts_;  // of what was written last, and what was written
  std::vector<std::uint32_t> ids_;
};

}  // namespace

std::unique_ptr<writer> open_writer(language::model_options const& given) {
  if (given.model.empty()) prefer::refuse("--model is missing; expected the file of a model");
  return std::make_unique<language_writer>(given);
}

}  // namespace sample
