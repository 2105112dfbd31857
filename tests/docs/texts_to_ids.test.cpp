// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <prefer/data/byte_tokenizer.hpp>
#include <prefer/data/encode.hpp>
#include <prefer/data/preference.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/prefer.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <support/temporary_folder.hpp>
#include <vector>

namespace texts_to_ids {

// [tokenizer]
/// Words between spaces, of a vocabulary that is given; 0 stands for every other word.
class word_tokenizer {
 public:
  explicit word_tokenizer(std::vector<std::string> const& words) {
    for (auto const& each : words) words_.add(each);
  }

  void encode(std::string_view text, std::vector<std::uint32_t>& into) const {
    std::istringstream words{std::string(text)};
    for (std::string word; words >> word;) {
      auto const known = words_.find(word);
      into.push_back(known ? *known + 1 : 0);
    }
  }
  [[nodiscard]] std::size_t vocabulary() const { return words_.size() + 1; }

 private:
  prefer::data::numbering words_;
};

static_assert(prefer::check::tokenizer<word_tokenizer>());
// [/tokenizer]

// [chat]
/// Roles and contents, each on a line, and a role that opens the answer.
struct chat_bytes : prefer::data::byte_tokenizer {
  using byte_tokenizer::encode;
  void encode(prefer::data::conversation const& messages, prefer::data::turn_part part,
              std::vector<std::uint32_t>& into) const {
    for (auto const& each : messages) {
      // What opened the prompt's last line is the role of the first answer.
      bool const open = part == prefer::data::turn_part::completion && &each == &messages.front();
      if (!open) encode(each.role + ": ", into);
      encode(each.content.plain() + "\n", into);
    }
    if (part == prefer::data::turn_part::prompt) encode("assistant: ", into);
  }
};

static_assert(prefer::data::ChatTokenizer<chat_bytes>);
// [/chat]

}  // namespace texts_to_ids

TEST_CASE("docs: texts to ids, from a file to a gradient", "[docs]") {
  temporary_folder folder;
  std::string const path = folder / "pairs.jsonl";
  std::ofstream(path) << R"({"prompt":"2 + 2 = ","chosen":"4","rejected":"5, I am sure of it"})"
                      << '\n'
                      << R"({"prompt":"Hello","chosen":"Hi!","rejected":"What?"})" << '\n';
  // [road]
  prefer::data::byte_tokenizer const tokenizer;
  prefer::token_sequences sequences;  // outlives the policies that read it
  prefer::data::encode_report report;
  prefer::choice_data data = encode(prefer::data::pairs(path), tokenizer, sequences,
                                    {.prompt = 512, .completion = 8}, report);
  std::puts(to_sentence(report).c_str());
  // 2 rows, no prompt cut, 1 completion cut by 11 tokens, no row dropped

  data.prompt = sequences.prompts.last_tokens(data.prompt);  // all that a bigram sees of a prompt
  prefer::bigram<double> policy(tokenizer.vocabulary(), sequences.completions);
  prefer::frozen reference(policy);
  prefer::trainer training(policy, prefer::dpo{.beta = 0.1}, reference, data, {.steps = 20});
  training.run();
  // [/road]
  CHECK(to_sentence(report) ==
        "2 rows, no prompt cut, 1 completion cut by 11 tokens, no row dropped");
  CHECK(data.length == std::vector<float>{2, 8, 4, 6});
  std::vector<double> now(4);
  std::vector<double> before(4);
  policy.log_prob(data.batch(), now);
  reference.log_prob(data.batch(), before);
  for (std::size_t pair = 0; pair < 2; ++pair) {
    CHECK(now[2 * pair] - before[2 * pair] > now[2 * pair + 1] - before[2 * pair + 1]);
  }
}

TEST_CASE("docs: texts to ids, rows that cannot be used", "[docs]") {
  prefer::data::byte_tokenizer const tokenizer;
  prefer::token_sequences sequences;
  prefer::data::encode_report report;
  std::string const text = R"({"prompt":"x","chosen":"yes, but","rejected":"yes, and"})";
  // [dropped]
  prefer::data::truncation const limits{.completion = 4,
                                        .unusable = prefer::data::unusable_row::dropped};
  auto const data = encode(prefer::data::pairs_in(text), tokenizer, sequences, limits, report);
  // [/dropped]
  CHECK(data.size() == 0);
  CHECK(report.dropped_equal == 1);
}

TEST_CASE("docs: texts to ids, a tokenizer of one's own", "[docs]") {
  texts_to_ids::word_tokenizer const words({"the", "sky", "is", "blue", "green"});
  prefer::token_sequences sequences;
  auto const data = encode(
      prefer::data::pairs_in(R"({"prompt":"the sky is","chosen":"blue","rejected":"so green"})"),
      words, sequences);
  CHECK(data.length == std::vector<float>{1, 2});
  CHECK(sequences.prompts.tokens(0)[2] == 3);
  CHECK(sequences.completions.tokens(1)[0] == 0);

  std::vector<std::uint32_t> token;
  texts_to_ids::chat_bytes const chat;
  prefer::data::conversation const prompt = {{"user", "Hi"}};
  prefer::data::conversation const answer = {{"assistant", "Yes?"}};
  chat.encode(prompt, prefer::data::turn_part::prompt, token);
  chat.encode(answer, prefer::data::turn_part::completion, token);
  std::string text;
  for (auto const each : token) text += static_cast<char>(each);
  CHECK(text == "user: Hi\nassistant: Yes?\n");
}

TEST_CASE("docs: texts to ids, a table", "[docs]") {
  std::string const text =
      "{\"prompt\":\"ann\",\"chosen\":\"casablanca\",\"rejected\":\"alien\"}\n"
      "{\"prompt\":\"bob\",\"chosen\":\"alien\",\"rejected\":\"casablanca\"}\n";
  // [table]
  prefer::data::numbered_texts texts;
  auto const data = number_texts(prefer::data::pairs_in(text), texts);
  prefer::tabular<double> policy(texts.prompts.size(), texts.completions.size());
  // [/table]
  std::vector<double> log_prob(4);
  policy.log_prob(data.batch(), log_prob);
  CHECK(log_prob[0] == Approx(-std::log(2.0)));
  CHECK(texts.completions.text(data.completion[0]) == "casablanca");
}
